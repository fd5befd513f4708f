"""Every exchange with the modem x every fault, over one whole upload session.

    python -m tests.torture.exchanges            # all cases
    python -m tests.torture.exchanges 17 230     # these cases, with what the tracker said

A case lets one fault begin at one exchange (an AT command and its answer) of a tracker's first
session: from the modem's power-on over certificates, TLS and MQTT to its power-off. It ends well
when every block is confirmed and the tracker asleep within the bounds below; or, where the fault
stays, when the tracker sleeps with its log intact and has called again.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cbor2

from coldtrail_simulator.clock import US_PER_S
from coldtrail_simulator.models.bg95.faults import PERMANENT, Fault
from tests.support.trackers.sessions import CallingTracker, Site, site

LIMIT_S = 4500
"""Virtual time for a session with one fault, and for the next: an hour later, where nobody has to
act on what is in the blocks."""
CHARGE_UAH = 12_000
"""What the modem may draw until then: 12 sessions' worth and more, 0.5 % of 2,500 mAh."""
AGAIN_S = 4000
"""A failed call is repeated within the hour."""
INTERVAL_S = 300

SAMPLE, BLOCK, CONFIRMED = 1, 28, 29
FAULTS = list(Fault)


@dataclass(frozen=True)
class Case:
    """One fault at one exchange (from 1)."""

    exchange: int
    fault: Fault

    @property
    def number(self) -> int:
        """The id to replay it by, from 1."""
        return (self.exchange - 1) * len(FAULTS) + FAULTS.index(self.fault) + 1

    def __str__(self) -> str:
        return f"{self.number} ({self.fault.value} at exchange {self.exchange})"

    @classmethod
    def numbered(cls, number: int) -> Case:
        """Return the case of an id."""
        exchange, fault = divmod(number - 1, len(FAULTS))
        return cls(exchange + 1, FAULTS[fault])


@dataclass(frozen=True)
class Outcome:
    """How a case ended."""

    case: Case
    verdict: str
    """"confirmed", "asleep" (a permanent fault), or what is wrong."""
    virtual_s: float
    charge_uah: float
    said: str

    @property
    def well(self) -> bool:
        """Whether it is one of the two good ends."""
        return self.verdict in ("confirmed", "asleep")


def session(place: Site) -> list[str]:
    """Return the commands of a session without a fault, in their order."""
    with CallingTracker(place) as tracker:
        tracker.power_on()
        assert tracker.until(lambda: is_confirmed(tracker), LIMIT_S)
        return [note["command"] for note in tracker.notes("at")]


def run(place: Site, case: Case) -> Outcome:
    """Run a case."""
    with CallingTracker(place) as tracker:
        tracker.break_at(case.exchange, case.fault)
        tracker.power_on()
        verdict = _judge(tracker, case)
        now_s = tracker.clock.now_us / US_PER_S
        said = " | ".join(tracker.console.text.splitlines())
        return Outcome(case, verdict, now_s, tracker.charge_uah, said)


def _judge(tracker: CallingTracker, case: Case) -> str:
    faults = tracker.faults
    assert faults is not None
    confirmed = tracker.until(lambda: is_confirmed(tracker), LIMIT_S)
    if not faults.begun:
        return "the fault never began"
    if tracker.charge_uah > CHARGE_UAH:
        return "too much charge"
    if not confirmed:
        if case.fault not in PERMANENT:
            return "not confirmed in time"
        if not tracker.until(lambda: tracker.asleep, INTERVAL_S):
            return "not asleep in time"
        before = _attempts(tracker)
        if not tracker.until(lambda: _attempts(tracker) > before, AGAIN_S):
            return "no further attempt"
    return _damage(tracker) or ("confirmed" if confirmed else "asleep")


def is_confirmed(tracker: CallingTracker) -> bool:
    """Return whether the tracker sleeps and knows that every block it has made is kept."""
    if not tracker.asleep or not tracker.site.keeper.kept:
        return False
    dump = tracker.dump()
    blocks = [
        int.from_bytes(each.payload[:4], "little") for each in dump.records if each.kind == 28
    ]
    applied = [cbor2.loads(each.payload) for each in dump.records if each.kind == 29]
    return bool(applied) and applied[-1][0] == max(blocks)


def _attempts(tracker: CallingTracker) -> int:
    return sum(note["state"] == "booting" for note in tracker.notes("modem-power"))


def _damage(tracker: CallingTracker) -> str:
    """Say what is wrong with boots, log or samples; nothing if all is well."""
    causes = Counter(note["cause"] for note in tracker.notes("boot"))
    if causes["power-on"] != 1 or causes.total() != 1 + causes["deep sleep"]:
        return f"boots: {dict(causes)}"
    dump = tracker.dump()
    if dump.damage:
        return f"log: {dump.damage[0]}"
    times = [cbor2.loads(each.payload)[0] for each in dump.records if each.kind == SAMPLE]
    due = 1 + (tracker.clock.now_us // US_PER_S - times[0]) // INTERVAL_S
    if [t - times[0] for t in times] != list(range(0, INTERVAL_S * len(times), INTERVAL_S)):
        return f"samples: {times}"
    return "" if due - len(times) in (0, 1) else f"samples: {len(times)} of {due}"


def slice_of(exchanges: int) -> list[Case]:
    """Return cases in which each exchange and each fault is met at least once."""
    return [
        Case(exchange, FAULTS[exchange * 5 % len(FAULTS)]) for exchange in range(1, exchanges + 1)
    ]


def table(outcomes: Iterable[Outcome]) -> Iterator[str]:
    """Yield a line for each fault, and the counts in the last one."""
    found = list(outcomes)
    yield (
        f"{'fault':<24}{'cases':>6}{'confirmed':>10}{'asleep':>7}{'failed':>7}"
        f"{'longest s':>10}{'most uAh':>9}"
    )
    for fault in FAULTS:
        own = [each for each in found if each.case.fault is fault]
        if own:
            ends = Counter(each.verdict for each in own)
            failed = sum(not each.well for each in own)
            longest = max(each.virtual_s for each in own)
            most = max(each.charge_uah for each in own)
            yield (
                f"{fault.value:<24}{len(own):>6}{ends['confirmed']:>10}{ends['asleep']:>7}"
                f"{failed:>7}{longest:>10.0f}{most:>9.0f}"
            )
    for each in found:
        if not each.well:
            yield f"case {each.case}: {each.verdict}"
    ends = Counter(each.verdict if each.well else "failed" for each in found)
    yield (
        f"exchanges x faults: {len(found)} cases, {ends['confirmed']} confirmed, "
        f"{ends['asleep']} asleep, {ends['failed']} failed"
    )


def _part(numbers: list[int], sink: multiprocessing.SimpleQueue[Outcome]) -> None:
    with tempfile.TemporaryDirectory() as folder, site(Path(folder)) as place:
        for number in numbers:
            sink.put(run(place, Case.numbered(number)))


def _replay(numbers: list[int]) -> list[Outcome]:
    with tempfile.TemporaryDirectory() as folder, site(Path(folder)) as place:
        outcomes = [run(place, Case.numbered(number)) for number in numbers]
    for each in outcomes:
        print(
            f"case {each.case}: {each.verdict}, {each.virtual_s:.0f} s, {each.charge_uah:.0f} uAh"
        )
        print(f"  the tracker said: {each.said or 'nothing'}")
    return outcomes


def _all() -> list[Outcome]:
    with tempfile.TemporaryDirectory() as folder, site(Path(folder)) as place:
        exchanges = len(session(place))
    total = exchanges * len(FAULTS)
    cores = len(os.sched_getaffinity(0))
    sink: multiprocessing.SimpleQueue[Outcome] = multiprocessing.SimpleQueue()
    parts = [
        multiprocessing.Process(
            target=_part, args=(list(range(1 + core, total + 1, cores)), sink), daemon=True
        )
        for core in range(cores)
    ]
    for part in parts:
        part.start()
    outcomes: list[Outcome] = []
    while len(outcomes) < total and (not sink.empty() or any(part.is_alive() for part in parts)):
        if sink.empty():
            time.sleep(0.05)
            continue
        outcomes.append(sink.get())
        if sys.stderr.isatty():
            print(f"\r{len(outcomes)} of {total}", end="", file=sys.stderr)
    if len(outcomes) < total:
        raise SystemExit("A process has ended before its last case.")
    return sorted(outcomes, key=lambda each: each.case.number)


def main(arguments: list[str]) -> int:
    """Run what is asked for; return 0 when every case ends well."""
    if arguments:
        outcomes = _replay([int(argument) for argument in arguments])
    else:
        begun = time.monotonic()
        outcomes = _all()
        print("\n".join(table(outcomes)), f"in {time.monotonic() - begun:.0f} s")
    return 0 if all(each.well for each in outcomes) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
