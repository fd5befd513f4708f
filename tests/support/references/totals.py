"""Compares the tracker's alarms with the samples in the gateway's archive, to the second.

Every start and end of an alarm, and every total in the checkpoints of the log, is computed again
from the archive by the slow reference. A trend is compared only if the shipment has a single boot.
Unconfirmed data that a log has discarded cannot be compared.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import cbor2

from coldtrail.judging import profile as device
from coldtrail.log.state import State
from coldtrail_boards import logdump
from coldtrail_boards.profiles import profile as profiles
from coldtrail_gateway.contract.block import Event, Sample, decode
from coldtrail_simulator.shipment.shipment import Shipment
from tests.support.references import alarms, trend
from tests.support.references.alarms import RESTART, Rule, Step

CHECKPOINT = 30
EVENT_RULES, TREND = 8, 4
STOPPED, REPLACED, ARRIVAL = 3, 4, 5
BY_OTHER_SHIPMENT = 4
HANDLED = (3, 5, 6, 7, 8, 9)
"""Channels of what hands do to a box: light, acceleration, shock, free fall."""
CONFIGURE, TAKEN = 1, 0
UNKNOWN_PAUSE = (1, 2)
NOT_ACCEPTED = 3
ORDER = ("boot", "configuration", "shipment-start", "sample", "shock", "free-fall")
"""Order of records with the same time in the log."""


@dataclass
class Leg:
    """The data judged under one profile, from the start of a shipment."""

    rules: list[Rule]
    steps: list[Step] = field(default_factory=list)
    places: list[tuple[int, int]] = field(default_factory=list)
    """Boot and time of each step."""
    events: list[tuple[int, int, int]] = field(default_factory=list)
    """Channel, value and time of shocks and free falls."""
    arrived: tuple[int, int] | None = None
    """When it was stopped by hand, and since when that excuses what was done to the box."""
    said: list[tuple[Any, ...]] = field(default_factory=list)
    """The tracker's own alarms: fields of events 5 and 6, the time last."""

    def expected(self, index: int) -> list[tuple[Any, ...]]:
        """Return the expected alarms of one rule."""
        rule = self.rules[index]
        changes: Sequence[tuple[Any, ...]]
        if rule[2] >= EVENT_RULES:
            changes = [
                change
                for channel, value, t in self.events
                if channel == rule[2] and alarms.BEYOND[rule[3]](value, rule[4])
                for change in (("start", 0, value, 0, t), ("end", 0, 1, value, value, 0, t))
            ]
        elif rule[1] == TREND:
            changes = trend.changes(rule, self.steps)
        else:
            changes = alarms.changes(0, rule, self.steps)
        if self.arrived and rule[2] in HANDLED and RESTART not in self.steps[1:]:
            changes = list(_excused(changes, *self.arrived))
        return [
            (*rule[:6], *change[2:]) if change[0] == "start" else (rule[0], *change[2:])
            for change in changes
        ]

    def check(self) -> None:
        """Compare the tracker's alarms with those that follow from its samples."""
        for index, rule in enumerate(self.rules):
            if rule[1] == TREND and RESTART in self.steps[1:]:
                continue
            said = [said for said in self.said if said[0] == rule[0]]
            assert said == self.expected(index), f"rule {rule[0]}"


def _excused(
    changes: Sequence[tuple[Any, ...]], stopped: int, since: int
) -> Iterator[tuple[Any, ...]]:
    """Yield a rule's changes where what began at the arrival ends by it."""
    more = []
    for start, end in zip(changes[::2], changes[1::2], strict=True):
        yield start
        if start[-1] < since:
            yield end
        elif end[2] == STOPPED:
            yield (*end[:2], ARRIVAL, *end[3:])
        else:
            yield end
            more.append(("end", 0, ARRIVAL, start[2], start[2], 0, stopped))
    yield from more


def check(shipment: Shipment, sealed: list[bytes]) -> int:
    """Check a shipment by its sealed blocks; return the number of compared totals."""
    story = _Story(shipment, sealed)
    if not story.complete:
        return 0
    for leg in story.legs:
        leg.check()
    return _check_checkpoints(shipment, story.legs)


def _records(sealed: list[bytes]) -> Iterator[tuple[int, int | None, Sample | Event]]:
    """Yield boot, sampling interval and record, in the order of the log."""
    for message in sealed:
        block = decode(cbor2.loads(message).value[2])
        records: list[Sample | Event] = [*block.events, *block.samples]
        for record in sorted(records, key=_place):
            yield block.boot, block.interval, record


def _place(record: Sample | Event) -> tuple[int, int]:
    name = record.name if isinstance(record, Event) else "sample"
    return record.t, ORDER.index(name) if name in ORDER else len(ORDER)


def _profiles(shipment: Shipment) -> dict[bytes, bytes]:
    shipped = [profiles.load(file.stem).encode() for file in profiles.DIRECTORY.glob("*.toml")]
    own = (shipment.out / "volume" / "profile.cbor").read_bytes()
    return {device.load(content).digest: content for content in (*shipped, own)}


class _Story:
    """Reads the archive from beginning to end."""

    def __init__(self, shipment: Shipment, sealed: list[bytes]) -> None:
        self.legs: list[Leg] = []
        self.complete = True
        self._known = _profiles(shipment)
        self._profile: Any = None
        self._under_way = False
        self._judge_from = self._rtc = self._last = 0
        self._boot = 0
        for self._boot, interval, record in _records(sealed):
            if isinstance(record, Sample):
                self._sample(record, interval)
            else:
                handler = getattr(self, "_on_" + record.name.replace("-", "_"), None)
                if handler:
                    handler(record)

    def _step(self, step: Step, t: int) -> None:
        self.legs[-1].steps.append(step)
        self.legs[-1].places.append((self._boot, t))

    def _sample(self, sample: Sample, interval: int | None) -> None:
        self._last = sample.t
        if not self._under_way:
            return
        values = list(sample.values)
        if self._profile.zone_start and _is_within(self.legs[-1].rules, values):
            self._judge_from = min(self._judge_from, sample.t)
        if sample.t >= self._judge_from:
            assert interval is not None
            self._step((sample.t, interval, values), sample.t)

    def _on_log_gap(self, event: Event) -> None:
        if event.fields["cause"] != NOT_ACCEPTED:
            self.complete = False

    def _on_boot(self, event: Event) -> None:
        rtc = event.number("rtc")
        passed = rtc - self._rtc
        if event.fields["cause"] in UNKNOWN_PAUSE or passed < self._last:
            passed = self._last
        self._judge_from = max(0, self._judge_from - passed)
        self._rtc, self._last = rtc, 0
        if self.legs:
            self._step(RESTART, 0)

    def _on_configuration(self, event: Event) -> None:
        digest = event.fields["digest"]
        if self._profile is None or digest != self._profile.digest:
            self._profile = device.load(self._known[digest])  # type: ignore[index]
            self.legs.append(Leg(list(self._profile.rules)))

    def _on_shipment_start(self, event: Event) -> None:
        self._under_way = True
        self._judge_from = event.t + self._profile.start_delay
        self.legs.append(Leg(list(self._profile.rules)))

    def _on_shipment_stop(self, event: Event) -> None:
        self._step((event.t, STOPPED), event.t)
        window = self._profile.arrival_window
        if window and event.fields["cause"] != BY_OTHER_SHIPMENT:
            self.legs[-1].arrived = event.t, event.t - window
        self._under_way = False

    def _on_command_outcome(self, event: Event) -> None:
        if (event.fields["action"], event.fields["outcome"]) == (CONFIGURE, TAKEN):
            self._step((event.t, REPLACED), event.t)

    def _happened(self, channel: int, value: int, t: int) -> None:
        if self._under_way and t >= self._judge_from:
            self.legs[-1].events.append((channel, value, t))

    def _on_shock(self, event: Event) -> None:
        self._happened(8, max(abs(event.number(axis)) for axis in "xyz"), event.t)

    def _on_free_fall(self, event: Event) -> None:
        self._happened(9, event.number("duration"), event.t)

    def _on_alarm_start(self, event: Event) -> None:
        _, *fields = event.fields.values()
        self.legs[-1].said.append((*fields, event.t))

    _on_alarm_end = _on_alarm_start


def _is_within(rules: list[Rule], values: list[int | None]) -> bool:
    judged = [(values[rule[2]], rule) for rule in rules if rule[2] < EVENT_RULES]
    return all(
        value is not None and not alarms.BEYOND[rule[3]](value, rule[4]) for value, rule in judged
    )


def _check_checkpoints(shipment: Shipment, legs: list[Leg]) -> int:
    """Compare the totals in the checkpoints of the tracker's flash."""
    dump = logdump.decode((shipment.out / "flash.bin").read_bytes())
    known = _profiles(shipment)
    compared = 0
    for record in dump.records:
        if record.kind != CHECKPOINT:
            continue
        saved = cbor2.loads(record.payload)
        profile = device.load(known[saved[1]])
        state = State(profile, None)
        state.load(saved)
        judged, _, *totals = state.engine.save()
        place = (state.boot, judged)
        # Right after a change of the profile the newest sample is one that the old profile judged.
        same = [leg for leg in legs if place in leg.places and leg.rules == list(profile.rules)]
        leg = same[0] if same else None
        if judged is None or leg is None:
            continue
        steps = leg.steps[: leg.places.index(place) + 1]
        for rule, of_rule in zip(leg.rules, totals, strict=True):
            if rule[2] < EVENT_RULES and rule[1] != TREND:
                assert of_rule[2] == alarms.judged(0, rule, steps).beyond()
                compared += 1
    return compared
