"""One block, judged in the context of the one before it: its rows, and the context it leaves.

A pure function. Samples of a block that is not vouched for (a fork, a splice) are in no figure,
and its clock syncs place nothing but itself. Its events are taken all the same: an alarm must not
vanish because somebody has sent a second block with its number.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from coldtrail_gateway.contract import words
from coldtrail_gateway.contract.block import Block, Event, Sample
from coldtrail_gateway.contract.events import EventType
from coldtrail_gateway.readings import clock
from coldtrail_gateway.readings.buckets import Bucket, bucket
from coldtrail_gateway.readings.context import (
    MAX_ALARMS,
    NO_SYNC,
    Alarm,
    Cell,
    Context,
    Newest,
    Position,
    Reading,
)
from coldtrail_gateway.readings.profile import Profile

_WITHDRAWABLE: Final = 8
"""Alarms of a rule that an arrival can withdraw (UPLINK.md)."""


@dataclass(frozen=True, slots=True)
class End:
    """An alarm's end, the event at a place, and the block and place of the start it ends."""

    place: int
    event: Event
    start: tuple[int, int] | None


@dataclass(frozen=True, slots=True)
class Step:
    """What a block says where it stands.

    `abandoned`: a shipment that the tracker left without a stop before this block. `doubt`:
    whether the clock syncs of its whole boot must be looked at.
    """

    context: Context
    bucket: Bucket | None
    starts: tuple[tuple[int, Event], ...]
    ends: tuple[End, ...]
    abandoned: str | None
    doubt: bool


def step(
    before: Context,
    row: int,
    block: Block,
    received_ms: int,
    *,
    vouched: bool,
    profile: Profile | None,
) -> Step:
    """Judge the block with this row number in the archive."""
    context, left, doubt = _entered(before, block)
    figures = None
    if vouched:
        time, doubtful = clock.take(
            context.clock, clock.syncs_of(block), clock.newest_t(block), received_ms
        )
        context = replace(context, clock=time)
        doubt |= doubtful
        if block.samples and block.interval is not None:
            newest = context.newest
            pending = newest if newest and newest.boot == block.boot else None
            limits = profile.limits if profile else None
            figures = bucket(pending, block.samples, block.interval, limits)
            context = _sampled(context, block.boot, block.samples, block.interval)
    folded = _Events(context, row, block.boot)
    for place, event in enumerate(block.events):
        folded.take(place, event)
    return Step(folded.context(), figures, tuple(folded.starts), tuple(folded.ends), left, doubt)


def _entered(before: Context, block: Block) -> tuple[Context, str | None, bool]:
    """Return the context at a block's beginning, the shipment left without a stop, a doubt."""
    context, left, doubt = before, None, False
    if block.boot != before.boot:
        # A boot that goes on after a later one began has two lines of syncs: see all of them.
        doubt = block.boot <= before.highest_boot
        context = replace(
            context,
            boot=block.boot,
            highest_boot=max(block.boot, before.highest_boot),
            clock=NO_SYNC,
        )
    if block.shipment != before.shipment:
        if before.shipment is not None and not before.stopped:
            left = before.shipment
        context = replace(
            context,
            shipment=block.shipment,
            named=block.shipment or before.named,
            stopped=0,
            newest=None,
            older=(),
            alarms=(),
            acknowledged=0,
        )
    return context, left, doubt


def _sampled(context: Context, boot: int, samples: Sequence[Sample], interval: int) -> Context:
    last = samples[-1]
    known = {reading.channel: reading for reading in context.older}
    if context.newest is not None:
        old = context.newest
        for channel, value in enumerate(old.values):
            if value is not None:
                known[channel] = Reading(channel, old.boot, old.t, value)
    for channel, value in enumerate(last.values):
        if value is not None:
            known.pop(channel, None)
            continue
        for sample in reversed(samples[:-1]):
            reading = sample.values[channel]
            if reading is not None:
                known[channel] = Reading(channel, boot, sample.t, reading)
                break
    newest = Newest(boot, last.t, interval, last.status, last.values)
    return replace(context, newest=newest, older=tuple(known[c] for c in sorted(known)))


class _Events:
    """Takes on the events of a block in their order."""

    def __init__(self, context: Context, row: int, boot: int) -> None:
        self._context = context
        self._row = row
        self._boot = boot
        self._alarms = list(context.alarms)
        self._acknowledged = context.acknowledged
        self._faults = set(context.faults)
        self._stopped = context.stopped
        self._flight = context.flight
        self._profile = context.profile
        self._position = context.position
        self._cell = context.cell
        self.starts: list[tuple[int, Event]] = []
        self.ends: list[End] = []

    def context(self) -> Context:
        """Return the context after what was taken."""
        return replace(
            self._context,
            alarms=tuple(self._alarms),
            acknowledged=self._acknowledged,
            faults=tuple(sorted(self._faults)),
            stopped=self._stopped,
            flight=self._flight,
            profile=self._profile,
            position=self._position,
            cell=self._cell,
        )

    def take(self, place: int, event: Event) -> None:
        """Take on one event."""
        number = event.number
        match event.type:
            case EventType.ALARM_START:
                self._start(place, event)
            case EventType.ALARM_END:
                self._end(place, event)
            case EventType.COMMAND_OUTCOME if words.is_acknowledgement(event):
                self._acknowledged = 1
                self._keep_standing()
            case EventType.BOOT:
                self._keep_standing()
            case EventType.CONFIGURATION:
                digest = event.fields["digest"]
                self._profile = digest.hex() if isinstance(digest, bytes) else None
                self._keep_standing()
            case EventType.FAULT:
                fault = (number("subject"), number("code"))
                self._faults.discard(fault)
                if number("on"):
                    self._faults.add(fault)
            case EventType.FLIGHT_MODE:
                self._flight = number("cause") if number("on") else 0
            case EventType.POSITION:
                self._position = Position(
                    self._boot,
                    event.t,
                    number("latitude"),
                    number("longitude"),
                    number("uncertainty"),
                    number("source"),
                )
            case EventType.CELL:
                self._cell = Cell(
                    self._boot, event.t, *(number(n) for n in ("mcc", "mnc", "area", "id"))
                )
            case EventType.SHIPMENT_STOP if event.fields["shipment"] == self._context.shipment:
                self._stopped = 1

    def _keep_standing(self) -> None:
        self._alarms = [alarm for alarm in self._alarms if alarm.standing]

    def _start(self, place: int, event: Event) -> None:
        rule = event.number("rule")
        self.starts.append((place, event))
        self._acknowledged = 0
        # One alarm of a rule stands at a time: of one that did, the end is not here.
        self._alarms = [
            alarm._replace(standing=0) if alarm.rule == rule else alarm for alarm in self._alarms
        ]
        self._alarms.append(Alarm(rule, self._row, place, 1))
        same = [alarm for alarm in self._alarms if alarm.rule == rule]
        if len(same) > _WITHDRAWABLE:
            self._alarms.remove(same[0])
        del self._alarms[:-MAX_ALARMS]

    def _end(self, place: int, event: Event) -> None:
        same = [alarm for alarm in self._alarms if alarm.rule == event.number("rule")]
        withdrawn = words.is_withdrawal(event)
        ended = next((a for a in reversed(same) if a.standing or withdrawn), None)
        self.ends.append(End(place, event, (ended.block, ended.place) if ended else None))
        if ended is None:
            return
        at = self._alarms.index(ended)
        if withdrawn:
            del self._alarms[at]
        else:
            self._alarms[at] = ended._replace(standing=0)
