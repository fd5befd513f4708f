"""The host's decoder against images that the firmware's log has written."""

import binascii
import random

import cbor2
import pytest
from click.testing import CliRunner

from coldtrail.log.flashlog import Log
from coldtrail_boards.cli import main
from coldtrail_boards.logdump import Record, State, decode
from coldtrail_simulator.models.nor import NorArray
from tests.support.flash.norflash import NorFlash
from tests.torture.power_cuts import GEOMETRIES, Bench, torn
from tests.torture.power_cuts import cuts as all_cuts

SECTOR = 4096


def written(records=600, sectors=8, unit=1):
    nor = NorFlash(NorArray(random.Random(0), sectors * SECTOR, SECTOR, 256, unit))
    flash_log = Log(nor, lambda: cbor2.dumps(["state"]))
    flash_log.mount()
    rng = random.Random(1)
    for n in range(records):
        payload = cbor2.dumps([n, rng.randrange(1 << 30), None])
        flash_log.release(flash_log.append(1 + n % 7, payload))
        if n % 150 == 149:
            flash_log = Log(nor, lambda: cbor2.dumps(["state"]))
            flash_log.mount()
            flash_log.release(flash_log.next)
    return nor, flash_log


def of(flash_log):
    return [Record(s, k, bytes(p)) for s, k, p in flash_log.records(0)]


@pytest.mark.parametrize("unit", [1, 4])
@pytest.mark.parametrize("records", [1, 50, 600, 3000])
def test_it_reads_what_the_firmware_wrote(records, unit):
    nor, flash_log = written(records, unit=unit)
    dump = decode(bytes(nor.array.cells))
    assert dump.records == of(flash_log)
    assert dump.damage == []
    assert max(dump.erases) - min(dump.erases) <= 1


@pytest.mark.parametrize("name", GEOMETRIES)
def test_both_agree_after_every_power_cut(name):
    """What a mount settles, an image read out afterwards shows alike."""
    bench = Bench(name, 0)
    rng = random.Random(name)
    for operation in range(0, len(bench.moments), 3):
        moment = bench.moments[operation]
        cut = rng.choice(list(all_cuts(1)))._replace(operation=operation)
        nor = NorFlash(torn(moment, cut, f"{name}{operation}"))
        flash_log = bench.log(nor)
        flash_log.mount()
        dump = decode(bytes(nor.array.read(0, nor.size)))
        assert dump.records == of(flash_log), cut


@pytest.mark.parametrize("seed", range(20))
def test_both_agree_on_flipped_bits(seed):
    nor, flash_log = written()
    rng = random.Random(seed)
    nor.array.flip(rng.choice(range(SECTOR * 4)), rng.randrange(8))
    flash_log = Log(nor, bytes)
    dump = decode(bytes(nor.array.cells))
    flash_log.mount()
    assert dump.records == of(flash_log)
    assert sum("record" in line for line in dump.damage) == len(flash_log.damaged)


def test_sectors_out_of_service():
    nor, flash_log = written(3000)
    header = bytearray(nor.array.cells[:16])
    header[2] = 9
    free = next(
        s for s, state in enumerate(decode(bytes(nor.array.cells)).states) if state is State.FREE
    )
    nor.array.erase(free)
    nor.array.program(free * SECTOR, bytes(header) + binascii.crc32(header).to_bytes(4, "little"))
    nor.array.fail_erase((free + 1) % 8)
    flash_log = Log(nor, bytes)
    flash_log.mount()
    for _ in range(400):
        flash_log.release(flash_log.append(1, bytes(32)))
    dump = decode(bytes(nor.array.cells))
    assert dump.states.count(State.UNKNOWN) == 1
    assert dump.states.count(State.RETIRED) == 1
    assert dump.records == of(flash_log)


def run(path, *options):
    return CliRunner().invoke(main, ["log", "dump", str(path), *options])


def test_the_command(tmp_path):
    nor, flash_log = written()
    image = tmp_path / "flash.bin"
    image.write_bytes(bytes(1000) + nor.array.cells)
    result = run(image, "--offset", "1000")
    assert result.exit_code == 0
    lines = result.output.splitlines()
    assert len(lines) == flash_log.next - flash_log.first + 4
    assert lines[-1] == "no damage"
    assert lines[0].split()[:2] == [str(flash_log.first), "checkpoint"]
    assert run(image, "--offset", "1000", "--summary").output.splitlines() == lines[-4:]


def test_damage_is_named_and_makes_exit_code_1(tmp_path):
    nor, flash_log = written()
    image = tmp_path / "flash.bin"
    _, payload = flash_log.read(300)
    nor.array.flip(nor.array.cells.index(bytes(payload)), 1)
    image.write_bytes(nor.array.cells)
    result = run(image)
    assert result.exit_code == 1
    assert result.output.splitlines()[-1] == "record 300 is damaged"


@pytest.mark.parametrize(
    ("content", "sentence"),
    [(None, "No such file"), (b"", "no log is in this image"), (bytes(9999), "no log is in")],
)
def test_no_image(tmp_path, content, sentence):
    image = tmp_path / "flash.bin"
    if content is not None:
        image.write_bytes(content)
    result = run(image)
    assert result.exit_code == 2
    assert sentence in result.output
    assert len(result.output.splitlines()) == 1


def test_a_newer_version(tmp_path):
    header = bytearray(written(5)[0].array.cells[:16])
    header[2] = 2
    image = tmp_path / "flash.bin"
    image.write_bytes(
        (bytes(header) + binascii.crc32(header).to_bytes(4, "little")).ljust(4096, b"\xff")
    )
    result = run(image)
    assert result.exit_code == 2
    assert "newer version" in result.output
