"""Cuts the power at every operation of the flash log, and again at every operation of recovery.

A case is named GEOMETRY:SEED:OPERATION.TEAR.MOOD[:OPERATION.TEAR.MOOD]. The first triple says at
which operation of the workload the power fails, how far that operation gets, and how cells at the
threshold read in the power cycle that follows; the second says the same of the mount in that
cycle. After the last cut the log is mounted and judged, mounted again with those cells reading
the other way, written to, and mounted once more.

Lost: a record whose append had returned, and that was not released, is missing, changed, reported
as damaged, or gone at a later mount; or the log takes no new record. Wrongly accepted: a record
is there that was never written, or one mount shows what another does not.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Self

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "firmware"), str(ROOT / "tests/firmware/support")]

from coldtrail.log.flashlog import CHECKPOINT, Log, LogFull  # noqa: E402
from coldtrail_simulator.models.nor import Mood, NorArray, OverProgrammed, Tear  # noqa: E402
from tests.support.flash.norflash import NorFlash  # noqa: E402

FIRM = (Tear.NOTHING, Tear.PREFIX, Tear.SUBSET, Tear.DONE)
"""Tears that leave no cell at the threshold: the mood does not matter."""
AWKWARD = (Tear.BARELY, Tear.MIXED, Tear.THRESHOLD, Tear.NEARLY)
PARTS = 16
"""Pieces of work for each geometry and seed."""
OTHER = {Mood.ONES: Mood.ZEROS, Mood.ZEROS: Mood.ONES, Mood.RANDOM: Mood.RANDOM}


@dataclass(frozen=True)
class Geometry:
    """A part and how the log is used on it."""

    sectors: int = 5
    sector_size: int = 256
    page: int = 64
    unit: int = 1
    programs: int = 0
    overwrite: bool = False
    keep: int = 12
    """Records kept unreleased: few, or so many that the log is full now and then."""
    steps: int = 150
    fail_erase: tuple[int, ...] = ()
    fail_program: tuple[int, ...] = ()
    stuck_header: tuple[int, ...] = ()
    """Sectors with a bit in their header that cannot be programmed: what a reader corrects."""


GEOMETRIES = {
    "w25q": Geometry(),
    "nrf": Geometry(unit=4, programs=2),
    "overwrite": Geometry(sector_size=512, overwrite=True, keep=1 << 20),
    "full": Geometry(keep=24),
    "bad": Geometry(sectors=9, fail_erase=(2,), fail_program=(5,)),
    "stuck": Geometry(sectors=7, stuck_header=(1, 4)),
    "pair": Geometry(sectors=9, fail_erase=(4, 5)),
}


class Cut(NamedTuple):
    """One power failure."""

    operation: int
    tear: Tear
    mood: Mood

    def __str__(self) -> str:
        return f"{self.operation}.{self.tear}.{self.mood}"


class Record(NamedTuple):
    """What stands in the log."""

    sequence: int
    kind: int
    payload: bytes

    def __repr__(self) -> str:
        return f"{self.sequence} (type {self.kind}, {len(self.payload)} bytes)"


@dataclass
class Moment:
    """The flash right before an operation, and what has been promised until then."""

    array: NorArray
    address: int
    data: bytes | None
    kept: list[Record] = field(default_factory=list)
    released: int = 0
    next: int = 1
    under_way: tuple[int, bytes] | None = None
    first: int = 1


class Wrong(Exception):
    """The log did what it must not."""


class Lost(Wrong):
    """It lost something."""


class Accepted(Wrong):
    """It shows something it must not."""


def cuts(count: int) -> Iterator[Cut]:
    for operation in range(count):
        for tear in FIRM:
            yield Cut(operation, tear, Mood.ONES)
        for tear in AWKWARD:
            for mood in Mood:
                yield Cut(operation, tear, mood)


def torn(moment: Moment, cut: Cut, name: str) -> NorArray:
    """Return the flash after the power failed in the operation of ``moment``."""
    array = moment.array.copy(random.Random(name))
    if moment.data is None:
        array.erase(moment.address // array.sector_size, cut.tear)
    else:
        array.program(moment.address, moment.data, cut.tear)
    array.mood = cut.mood
    return array


class Bench:
    """The workload of one geometry and seed, run once, with the flash kept at every operation."""

    def __init__(self, name: str, seed: int, share: float = 1.0) -> None:
        """``share``: of the second cuts, a part drawn once and for all.

        All of the log is read again at every mount when it is 1, else its newest records.
        """
        self.name = f"{name}:{seed}"
        self.share = share
        self.geometry = geometry = GEOMETRIES[name]
        self.rng = random.Random(self.name)
        array = NorArray(
            random.Random(f"{self.name}/array"),
            geometry.sectors * geometry.sector_size,
            geometry.sector_size,
            geometry.page,
            geometry.unit,
            geometry.programs,
        )
        self.moments: list[Moment] = []
        self._nor = NorFlash(array)
        self._nor.before = self._before
        self._kept: list[Record] = []
        self._released = 0
        self._under_way: tuple[int, bytes] | None = None
        self._log = self.log(self._nor)
        self._log.mount()
        self._run()

    def log(self, nor: NorFlash) -> Any:
        log: Any = Log(nor, lambda: b"checkpoint %d" % log.next)
        log.overwrite = self.geometry.overwrite
        return log

    def _before(self, address: int, data: bytes | None) -> None:
        array = self._nor.array.copy(random.Random(0))
        self.moments.append(
            Moment(
                array,
                address,
                data,
                self._kept[:],
                self._released,
                self._kept[-1].sequence + 1 if self._kept else 1,
                self._under_way,
                self._log.first,
            )
        )

    def _run(self) -> None:
        rng, geometry = self.rng, self.geometry
        for step in range(geometry.steps):
            if step == geometry.steps // 3:
                for sector in geometry.fail_erase:
                    self._nor.array.fail_erase(sector)
                for sector in geometry.fail_program:
                    self._nor.array.fail_program(sector)
                for sector in geometry.stuck_header:
                    # The upper half of the tail's number is 0.
                    self._nor.array.stick(sector * geometry.sector_size + 7, 1, 1)
            match rng.choices(
                ("append", "seal", "release", "mount", "iterate"), (70, 8, 10, 6, 6)
            ):
                case ["append"]:
                    # Now and then right up to the end of a page.
                    rest = -(self._log.end + 8) % geometry.page
                    length = rest if rng.random() < 0.2 else rng.randrange(40)
                    self._append(rng.randrange(1, 28), length)
                case ["seal"]:
                    self._append(28, rng.randrange(geometry.page, self._log.max_payload + 1))
                case ["release"]:
                    self._release(self._log.next - rng.randrange(geometry.keep))
                case ["mount"]:
                    hint = self._log.hint() if rng.random() < 0.5 else None
                    self._log = self.log(self._nor)
                    self._log.mount(hint)
                    self._log.release(self._released)
                case _:
                    self._iterate(rng.randrange(self._log.next))

    def _append(self, kind: int, length: int) -> None:
        payload = self.rng.randbytes(length)
        before = self._log.next
        self._under_way = (kind, payload)
        try:
            sequence = self._log.append(kind, payload)
        except LogFull:
            self._under_way = None
            # A sector may have been opened for it and found wanting; nothing has been promised.
            self._release(self._log.next)
            return
        self._under_way = None
        if sequence > before:
            self._kept.append(Record(before, CHECKPOINT, b"checkpoint %d" % before))
        self._kept.append(Record(sequence, kind, payload))

    def _release(self, sequence: int) -> None:
        self._released = max(self._released, sequence)
        self._log.release(sequence)

    def _iterate(self, first: int) -> None:
        found = [Record(s, k, bytes(p)) for s, k, p in self._log.records(first)]
        start = max(first, self._log.first)
        if found != [r for r in self._kept if r.sequence >= start]:
            raise Lost("in plain use")

    # ---- cases ----

    def second_moments(self, moment: Moment, cut: Cut) -> list[Moment]:
        """Return the operations of the mount after ``cut``."""
        nor = NorFlash(torn(moment, cut, f"{self.name}:{cut}"))
        found: list[Moment] = []
        nor.before = lambda address, data: found.append(
            Moment(nor.array.copy(random.Random(0)), address, data)
        )
        self.log(nor).mount()
        return found

    def cases(self, operation: int) -> Iterator[tuple[Cut, Cut | None, NorArray]]:
        """Yield every pair of cuts that begins with this operation, and what it leaves.

        Two tears may leave the same cells: the later one is a repeat, and left out.
        """
        moment = self.moments[operation]
        seen = set()
        for cut in cuts(1):
            first = Cut(operation, cut.tear, cut.mood)
            after = torn(moment, first, f"{self.name}:{first}")
            state = self._digest(after, first.mood)
            if state in seen:
                continue
            seen.add(state)
            yield first, None, after
            draw = random.Random(f"{self.name}:{first}")
            for number, later in enumerate(self.second_moments(moment, first)):
                for cut2 in cuts(1):
                    if draw.random() >= self.share:
                        continue
                    second = Cut(number, cut2.tear, cut2.mood)
                    after = self.torn_again(later, first, second)
                    state = self._digest(after, second.mood)
                    if state in seen:
                        continue
                    seen.add(state)
                    yield first, second, after

    def torn_again(self, later: Moment, first: Cut, second: Cut) -> NorArray:
        """Return the flash after a second failure, in an operation of the mount."""
        array = torn(later, second, f"{self.name}:{first}:{second}")
        # The same few words may be hit twice in a row: no layout can mend that without a third
        # program of them.
        array.programs_per_unit += array.programs_per_unit and 1
        return array

    @staticmethod
    def _digest(array: NorArray, mood: Mood) -> bytes:
        weak = sorted((s, sorted(m.items())) for s, m in array.weak.items() if m)
        text = f"{weak} {mood if weak else ''}".encode()
        return hashlib.blake2b(array.cells + text, digest_size=12).digest()

    def judge(self, first: Cut, second: Cut | None) -> None:
        """Run one case; raise Wrong when the log fails it."""
        moment = self.moments[first.operation]
        name = f"{self.name}:{first}"
        try:
            if second is None:
                array = torn(moment, first, name)
                mood = first.mood
            else:
                later = self.second_moments(moment, first)[second.operation]
                array = self.torn_again(later, first, second)
                mood = second.mood
            self.judge_array(moment, array, mood)
        except OverProgrammed as error:
            raise Lost(f"programmed too often: {error}") from error

    def judge_array(self, moment: Moment, array: NorArray, mood: Mood) -> None:
        """Mount what the cuts left, again and again, and write to it."""
        nor = NorFlash(array)
        log, shown = self._mount(nor)
        self._compare(moment, shown, log)
        array.mood = OTHER[mood]
        since = 0 if self.share == 1 else max(log.first, log.next - 8)
        before = (log.first, log.next)
        log, again = self._mount(nor, since)
        shown = [r for r in shown if r.sequence >= since]
        if again != shown or before != (log.first, log.next):
            raise Accepted(f"the next mount shows {_difference(shown, again)}")
        log.release(moment.released)
        expected = again[:]
        before = log.next
        released = moment.released
        try:
            sequence = log.append(7, b"a new record")
        except LogFull:
            released = log.next
            log.release(released)
            try:
                sequence = log.append(7, b"a new record")
            except LogFull:
                raise Lost("no new record is accepted") from None
        if sequence > before:
            expected.append(Record(before, CHECKPOINT, b"checkpoint %d" % before))
        expected.append(Record(sequence, 7, b"a new record"))
        array.mood = mood
        log, final = self._mount(nor, since)
        expected = [r for r in expected if r.sequence >= log.first]
        if final != expected:
            raise Lost(f"after a new record: {_difference(expected, final)}")
        if not self.geometry.overwrite and log.first > max(1, released):
            raise Lost("unreleased records were overwritten")

    def _mount(self, nor: NorFlash, since: int = 0) -> tuple[Log, list[Record]]:
        log = self.log(nor)
        log.mount()
        shown = [Record(s, k, bytes(p)) for s, k, p in log.records(since)]
        if log.damaged:
            raise Lost(f"damaged: {log.damaged}")
        if [r.sequence for r in shown] != list(range(max(since, log.first), log.next)):
            raise Lost(f"{log.first} to {log.next}, but {[r.sequence for r in shown]}")
        return log, shown

    def _compare(self, moment: Moment, shown: list[Record], log: Log) -> None:
        old = [r for r in shown if r.sequence < moment.next]
        new = [r for r in shown if r.sequence >= moment.next]
        kept = [r for r in moment.kept if r.sequence >= log.first]
        if old != kept:
            raise Lost(_difference(kept, old))
        if log.first > moment.released and log.first > moment.first:
            raise Lost(f"begins at {log.first}")
        allowed = [Record(moment.next, CHECKPOINT, b"checkpoint %d" % moment.next)]
        if new[:1] == allowed:
            new.pop(0)
        elif not moment.under_way and new:
            raise Accepted(f"{new}")
        if new and (len(new) > 1 or new[0][1:] != moment.under_way):
            raise Accepted(f"{new}")


def _difference(expected: list[Record], found: list[Record]) -> str:
    missing = [r for r in expected if r not in found]
    extra = [r for r in found if r not in expected]
    return f"missing {missing[:3]}, extra {extra[:3]}"


@dataclass
class Count:
    """What came of a number of cases."""

    distinct: int = 0
    lost: int = 0
    accepted: int = 0
    failures: list[str] = field(default_factory=list)

    def __iadd__(self, other: Count) -> Self:
        self.distinct += other.distinct
        self.lost += other.lost
        self.accepted += other.accepted
        self.failures += other.failures
        return self


def run(name: str, seed: int, part: int, parts: int, share: float) -> Count:
    """Judge the cases of every ``parts``-th operation."""
    bench = Bench(name, seed, share)
    count = Count()
    for operation in range(part, len(bench.moments), parts):
        moment = bench.moments[operation]
        for first, second, array in bench.cases(operation):
            count.distinct += 1
            try:
                bench.judge_array(moment, array, (second or first).mood)
            except (Wrong, OverProgrammed) as error:
                count.lost += not isinstance(error, Accepted)
                count.accepted += isinstance(error, Accepted)
                case = f"{bench.name}:{first}" + (f":{second}" if second else "")
                count.failures.append(f"{case}  {error}")
    return count


def parse(case: str) -> tuple[str, int, Cut, Cut | None]:
    name, seed, *pairs = case.split(":")
    found = []
    for pair in pairs:
        operation, tear, mood = pair.split(".")
        found.append(Cut(int(operation), Tear(tear), Mood(mood)))
    return name, int(seed), found[0], found[1] if len(found) > 1 else None


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("case", nargs="*", help="run exactly these cases again")
    parser.add_argument("--geometry", action="append", choices=GEOMETRIES)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--share", type=float, default=1.0, help="of the second cuts, 0 to 1")
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    total = Count()
    start = time.monotonic()
    for case in options.case:
        name, seed, first, second = parse(case)
        Bench(name, seed).judge(first, second)
        print(f"{case}: passed")
    if options.case:
        return 0
    with ProcessPoolExecutor(options.jobs) as pool:
        work = [
            pool.submit(run, name, seed, part, PARTS, options.share)
            for seed in range(options.seeds)
            for name in options.geometry or GEOMETRIES
            for part in range(PARTS)
        ]
        for done, future in enumerate(as_completed(work), 1):
            total += future.result()
            if sys.stderr.isatty():
                print(f"\r{done} of {len(work)} pieces", end="", file=sys.stderr, flush=True)
    for failure in sorted(total.failures)[:20]:
        print(failure)
    print(f"\n{time.monotonic() - start:.0f} s")
    print(
        f"power cuts: {total.distinct} distinct, {total.lost} lost, "
        f"{total.accepted} wrongly accepted"
    )
    return 1 if total.failures else 0


if __name__ == "__main__":
    sys.exit(main())
