"""A certified OpenID provider, npm's `oidc-provider`, as a process on loopback.

No Python package is one that has been certified. `npm ci` fetches it once into the cache, by the
lock file in the folder `oidc_provider_npm`. Its version 9 does not run on Node 18, which Debian 12
has.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pytest

from coldtrail_simulator.paths import CACHE
from coldtrail_simulator.services.process import Process
from tests.support.host import until

_SOURCES: Final = Path(__file__).parent / "oidc_provider_npm"
_FILES: Final = ("package.json", "package-lock.json", "provider.mjs")


class Provider:
    """A provider that calls itself by an issuer, and listens on a port of loopback.

    Skips the test if it is not in the cache and npm cannot fetch it.
    """

    def __init__(self, folder: Path, port: int, settings: Mapping[str, Any]) -> None:
        file = folder / "provider.json"
        file.write_text(json.dumps({**settings, "port": port}))
        program = _installed() / "provider.mjs"
        self.url = f"http://127.0.0.1:{port}"
        self._process = Process(
            "oidc-provider", ["node", str(program), str(file)], folder / "provider.log"
        )
        try:
            until(self._is_ready, "the OpenID provider")
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End it."""
        self._process.stop()

    def _is_ready(self) -> bool:
        assert self._process.running, self._process.output()
        return "ready" in self._process.output()


def _installed() -> Path:
    contents = b"".join((_SOURCES / name).read_bytes() for name in _FILES)
    folder = CACHE / "npm" / f"oidc-provider-{hashlib.sha256(contents).hexdigest()[:16]}"
    if not folder.exists():
        _install(folder)
    return folder


def _install(folder: Path) -> None:
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip(
            "The OpenID provider comes by npm, which is missing: install it "
            "(Debian: apt-get install npm)."
        )
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as name:
        made = Path(name) / "made"
        made.mkdir()
        for file in _FILES:
            shutil.copy(_SOURCES / file, made)
        command = [npm, "ci", "--silent", "--no-audit", "--no-fund", "--ignore-scripts"]
        done = subprocess.run(command, cwd=made, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"npm ci of the OpenID provider failed: {done.stderr.strip()}"
        try:
            made.rename(folder)
        except OSError:
            assert folder.exists()  # another process was faster
