"""The firmware as ROMFS, built by mpremote: MicroPython imports it from there."""

import shutil
import subprocess
import sys

import pytest

from simulator import tools
from tests.support.interpreters import ROOT

IMPORT = """
import sys, vfs
vfs.mount(vfs.VfsRom(open(sys.argv[1], "rb").read()), "/rom")
sys.path[:] = ["/rom"]
from coldtrail import cbor
print(cbor.__file__, cbor.decode(cbor.encode([1, b"2", "3"])))
"""


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    folder = tmp_path_factory.mktemp("romfs")
    for package in ("coldtrail", "drivers"):
        shutil.copytree(
            ROOT / "firmware" / package, folder / "rom" / package,
            ignore=shutil.ignore_patterns("__pycache__", "*.md"),
        )  # fmt: skip
    made = folder / "firmware.romfs"
    subprocess.run(
        [sys.executable, "-m", "mpremote", "romfs", "-o", str(made), "build", str(folder / "rom")],
        check=True, capture_output=True, timeout=60,
    )  # fmt: skip
    return made


@pytest.mark.parametrize("interpreter", [tools.micropython, tools.micropython32])
def test_micropython_imports_the_firmware_from_the_image(interpreter, image, tmp_path):
    program = tmp_path / "program.py"
    program.write_text(IMPORT, encoding="utf-8")
    done = subprocess.run(
        [*interpreter(), str(program), str(image)],
        check=True, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.stdout.strip() == "/rom/coldtrail/cbor.mpy [1, b'2', '3']"
