"""What it costs to keep records in flash: this log against littlefs, same chip, same records.

``python -m tests.bench.flash`` prints one table. Everything runs on the same model of NOR cells;
operations are counted there, and times and energy come from the W25Q64JV's datasheet, as in the
simulator's model of the part: typical times (section 9.6) and currents (9.5), and reading at the
board's SPI clock and the current that is the maximum at 50 MHz; each read with the 32 bits of its
instruction, at 3.3 V. The ring is counted over whole turns.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from littlefs import LittleFS, UserContext

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "firmware"), str(ROOT / "tests" / "firmware" / "support")]

from coldtrail.contract.cose import digest  # noqa: E402
from coldtrail.judging import profile as profiles  # noqa: E402
from coldtrail.log import records as r  # noqa: E402
from coldtrail.log.flashlog import Log  # noqa: E402
from coldtrail.log.recorder import Recorder  # noqa: E402
from coldtrail_boards.profiles import profile as host_profiles  # noqa: E402
from coldtrail_simulator.board import file as boards  # noqa: E402
from coldtrail_simulator.models import currents, w25q64  # noqa: E402
from coldtrail_simulator.models.nor import NorArray  # noqa: E402
from tests.support.blocks import eight_channels  # noqa: E402
from tests.support.flash.norflash import NorFlash  # noqa: E402
from tests.support.trackers.who import Identity  # noqa: E402

SECTOR: Final = 4096
PAGE: Final = 256
SECTORS: Final = w25q64.SIZE // SECTOR
RING: Final = 30
TURNS: Final = 2
RECORD: Final = 32
CHECKPOINT: Final = 32

PROGRAM_MS: Final = w25q64.PROGRAM_US[0] / 1000
ERASE_MS: Final = w25q64.ERASE_US[SECTOR][0] / 1000
HZ: Final[int] = boards.named("esp32_bg95")["BUSES"]["SPI", 2]["settings"]["baudrate"]
PROGRAM_MA, ERASE_MA, READ_MA = (
    currents.W25Q64[state].ua / 1000 for state in ("programming", "erasing", "selected")
)
VOLT: Final = 3.3


class Counted(NorFlash):
    """Also counts the bytes read, and how often what littlefs programs needs a page program."""

    def __init__(self, array: NorArray) -> None:
        super().__init__(array)
        self.bytes_read = 0

    def read(self, address: int, buffer: Any) -> None:
        self.bytes_read += len(buffer)
        super().read(address, buffer)

    def snapshot(self) -> tuple[int, int, int, int, int]:
        return (
            self.reads,
            self.bytes_read,
            self.programs,
            self.array.programmed_bytes,
            self.erases,
        )


class Blocks(UserContext):
    """littlefs's user context: its four calls on the same chip."""

    def __init__(self, nor: Counted) -> None:
        super().__init__(0)
        self._nor = nor

    def read(self, cfg: Any, block: int, off: int, size: int) -> bytearray:
        buffer = bytearray(size)
        self._nor.read(block * SECTOR + off, memoryview(buffer))
        return buffer

    def prog(self, cfg: Any, block: int, off: int, data: bytes) -> int:
        at = 0
        while at < len(data):
            n = min(len(data) - at, PAGE - (off + at) % PAGE)
            self._nor.program(block * SECTOR + off + at, memoryview(data)[at : at + n])
            at += n
        return 0

    def erase(self, cfg: Any, block: int) -> int:
        self._nor.erase(block * SECTOR)
        return 0

    def sync(self, cfg: Any) -> int:
        return 0


@dataclass
class Row:
    """What one way of keeping records cost."""

    name: str
    amplification: float
    erases: float
    mount_reads: int
    mount_ms: float
    ms: float
    mj: float


def _ms(reads: int, bytes_read: int, programs: int, erases: int) -> tuple[float, float]:
    reading = (bytes_read + 4 * reads) * 8 / HZ * 1000
    programming, erasing = programs * PROGRAM_MS, erases * ERASE_MS
    charge = reading * READ_MA + programming * PROGRAM_MA + erasing * ERASE_MA
    return reading + programming + erasing, charge * VOLT / 1000


def _measure(
    name: str, write: Callable[[Counted], Callable[[], None]], records: list[bytes]
) -> Row:
    """``write`` keeps all records and returns what mounts again and is ready to go on."""
    nor = Counted(NorArray(random.Random(0), SECTORS * SECTOR, SECTOR, PAGE))
    mount = write(nor)
    reads, bytes_read, programs, programmed, erases = nor.snapshot()
    ms, mj = _ms(reads, bytes_read, programs, erases)
    mount()
    after = nor.snapshot()
    mount_ms, _ = _ms(
        after[0] - reads, after[1] - bytes_read, after[2] - programs, after[4] - erases
    )
    n = len(records)
    payload = sum(map(len, records))
    return Row(name, programmed / payload, erases / n, after[0] - reads, mount_ms, ms / n, mj / n)


def _ring(records: list[bytes], hinted: bool) -> Callable[[Counted], Callable[[], None]]:
    def write(nor: Counted) -> Callable[[], None]:
        log = _log(nor, RING)
        log.mount()
        for record in records:
            log.release(log.append(1, record))
        hint = log.hint() if hinted else None
        return lambda: _log(nor, RING).mount(hint)

    return write


def _log(nor: Counted, sectors: int | None = None) -> Any:
    return Log(nor, lambda: bytes(CHECKPOINT), 0, sectors)


def _turns() -> int:
    """Return how many records fill the ring as often as it goes round."""
    nor = Counted(NorArray(random.Random(0), SECTORS * SECTOR, SECTOR, PAGE))
    log = _log(nor, RING)
    log.mount()
    records = 0
    while nor.erases <= TURNS * RING:
        log.release(log.append(1, bytes(RECORD)))
        records += 1
    return records - 1


def mount_of_all() -> tuple[int, float]:
    """Return reads and milliseconds of a mount of all sectors of the part, without a hint."""
    nor = Counted(NorArray(random.Random(0), SECTORS * SECTOR, SECTOR, PAGE))
    log = _log(nor)
    log.mount()
    for _ in range(RING * 100):
        log.append(1, bytes(RECORD))
    reads, bytes_read, programs, _, erases = nor.snapshot()
    _log(nor).mount()
    after = nor.snapshot()
    reads = after[0] - reads
    return reads, _ms(reads, after[1] - bytes_read, after[2] - programs, after[4] - erases)[0]


def _littlefs(nor: Counted, mount: bool) -> LittleFS:
    return LittleFS(
        context=Blocks(nor),
        mount=mount,
        read_size=16,
        prog_size=16,
        cache_size=PAGE,
        block_size=SECTOR,
        block_count=SECTORS,
        lookahead_size=32,
        block_cycles=500,
    )


def _appending(records: list[bytes]) -> Callable[[Counted], Callable[[], None]]:
    def write(nor: Counted) -> Callable[[], None]:
        fs = _littlefs(nor, mount=False)
        fs.format()
        fs.mount()
        fs.open("log", "wb").close()
        for record in records:
            with fs.open("log", "ab") as file:
                file.write(record)

        def mount() -> None:
            with _littlefs(nor, mount=True).open("log", "ab"):
                pass

        return mount

    return write


def _collecting(records: list[bytes], at_once: int) -> Callable[[Counted], Callable[[], None]]:
    def write(nor: Counted) -> Callable[[], None]:
        fs = _littlefs(nor, mount=False)
        fs.format()
        fs.mount()
        for start in range(0, len(records), at_once):
            with fs.open(f"{start:06}", "wb") as file:
                file.write(b"".join(records[start : start + at_once]))

        def mount() -> None:
            max(_littlefs(nor, mount=True).listdir("/"))

        return mount

    return write


def measure() -> list[Row]:
    """Return the table's rows."""
    rng = random.Random(1)
    records = [rng.randbytes(RECORD) for _ in range(_turns())]
    return [
        _measure("this log, each durable and read back", _ring(records, False), records),
        _measure("  … mounted with a hint", _ring(records, True), records),
        _measure("littlefs, append and close each", _appending(records), records),
        _measure(
            "littlefs, 12 collected in RAM, one file each", _collecting(records, 12), records
        ),
    ]


class BenchIdentity(Identity):
    """By its name, as long as those that are in use."""

    tracker = "BENCH-1"


def whole_product() -> tuple[float, float, float]:
    """Return programmed bytes and erases a sample, and the days that the whole part lasts.

    Everything that a tracker writes for eight channels with their noise, every five minutes:
    samples, blocks of twelve, each confirmed, and checkpoints.
    """
    nor = Counted(NorArray(random.Random(0), RING * SECTOR, SECTOR, PAGE))
    profile = profiles.load(host_profiles.load("refrigerated_2_8").encode())
    recorder: Any = Recorder(nor, profile, BenchIdentity)
    recorder.record(r.BOOT, [0, 1, 1, 0, "1"])
    recorder.record(r.SHIPMENT_START, [0, "BENCH"])
    begun = None
    source = eight_channels.samples("bench", eight_channels.INTERVAL)
    for n, (t, status, values) in enumerate(source, 1):
        recorder.record(r.SAMPLE, [t, status, *values])
        if n % 12 == 0:
            recorder.seal()
            number, sealed = next(
                (number, bytes(sealed))
                for _, number, _, sealed in recorder.blocks(recorder.state.pending)
                if number == recorder.state.number
            )
            recorder.confirm((recorder.state.chain, number, digest(sealed), [], 1 << 30, 0))
        if begun is None and nor.erases > RING:
            begun = n, nor.array.programmed_bytes
        if begun and nor.erases > (1 + TURNS) * RING:
            samples = n - begun[0]
            erases = TURNS * RING / samples
            days = (SECTORS - 2) / erases / (86400 / eight_channels.INTERVAL)  # two stay free
            return (nor.array.programmed_bytes - begun[1]) / samples, erases, days
    raise AssertionError("the samples do not fill the ring")


def main() -> int:
    """Print the table."""
    print(f"records of {RECORD} bytes, {TURNS} turns of a ring of {RING} sectors; SPI {HZ} Hz")
    heads = (
        ("", "write", "erases", "mount", "mount", "ms", "mJ"),
        ("", "amplif.", "a record", "reads", "ms", "a rec.", "a rec."),
    )
    for a, b, c, d, e, f, g in heads:
        print(f"{a:46} {b:>7} {c:>8} {d:>7} {e:>8} {f:>7} {g:>7}")
    for row in measure():
        print(
            f"{row.name:46} {row.amplification:7.3f} {row.erases:8.4f} {row.mount_reads:7}"
            f" {row.mount_ms:8.1f} {row.ms:7.2f} {row.mj:7.3f}"
        )
    reads, ms = mount_of_all()
    print(f"mount of all {SECTORS} sectors without a hint: {reads} reads, {ms:.0f} ms")
    programmed, erases, days = whole_product()
    print(
        f"whole product, a sample of eight channels: {programmed:.1f} programmed bytes and "
        f"{erases:.4f} erases; {SECTORS * SECTOR >> 20} MiB hold {days:.0f} days of one every "
        f"{eight_channels.INTERVAL // 60} minutes"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
