"""A shipment as a SenML Pack (RFC 8428), JSON or CBOR: readings, positions, shocks, cells, alarms.

SenML has no place for a record without a time, for uncertainty, or for why a reading is absent:
such records are left out (`tabular.unplaced` counts them); CSV and JSON have them.

Consumers identify records by name and time, so no two records share both. When something happens
twice at one moment (two shocks in one second, both blocks of a fork), the second name ends in
`/2`, and all records that belong together at that moment have the same number.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

import cbor2

from coldtrail_gateway.contract import words
from coldtrail_gateway.contract.block import Event, Sample
from coldtrail_gateway.contract.events import SAMPLED, Channel, EventType
from coldtrail_gateway.evidence.findings import Name
from coldtrail_gateway.exports import text
from coldtrail_gateway.shipments.history import History, Placed

_UNITS: Final = ("Cel", "Cel", "%RH", "lx", "V", "m/s2", "m/s2", "m/s2")
_MICRO: Final = Decimal("0.000001")
_DBM_IN_DBW: Final = -30
# RFC 8428, table 4.
_LABELS: Final = {"bn": -2, "bt": -3, "n": 0, "u": 1, "v": 2, "vs": 3, "vb": 4}

Record = dict[str, str | bool | Decimal]


def to_json(history: History) -> str:
    """Return the pack as `application/senml+json`, a record a line."""
    lines = [text.to_json(record, default=float) for record in _pack(history)]
    return "[\n" + ",\n".join(lines) + "\n]\n"


def to_cbor(history: History) -> bytes:
    """Return the pack as `application/senml+cbor`; what is no integer is a decimal fraction."""
    return cbor2.dumps(
        [
            {_LABELS[name]: _number(value) for name, value in record.items()}
            for record in _pack(history)
        ]
    )


def _pack(history: History) -> list[Record]:
    """Return the records in the order of time; each moment's first one has the base time."""
    told: list[tuple[Placed, list[Record]]] = [
        *((placed, _readings(sample)) for placed, sample in history.samples),
        *((placed, _event(event)) for placed, event in history.events),
    ]
    moments: dict[int, list[_Set]] = {}
    for placed, records in told:
        if placed.time and records:
            _put(moments.setdefault(placed.time.utc_ms, []), placed.flaw, records)
    pack: list[Record] = [{"bn": f"coldtrail/{history.tracker}/"}]
    pack[0] |= {"bt": _seconds(min(moments))} if moments else {}
    pack[0] |= {"n": "shipment", "vs": history.shipment}
    for utc_ms, sets in sorted(moments.items()):
        first, *others = itertools.chain.from_iterable(
            one.numbered(number) for number, one in enumerate(sets, 1)
        )
        pack += [{"bt": _seconds(utc_ms)} | first, *others]
    return pack


@dataclass
class _Set:
    """Records of one moment with different names, all vouched for alike."""

    flaw: Name | None
    records: dict[str, Record]

    def numbered(self, number: int) -> Iterator[Record]:
        """Yield the records under the names they have as the moment's set of that number."""
        suffix = f"/{number}" if number > 1 else ""
        records = [*self.records.values()]
        if self.flaw:
            records.append({"n": "verified", "vs": self.flaw.value})
        for record in records:
            yield record | {"n": f"{record['n']}{suffix}"}


def _put(sets: list[_Set], flaw: Name | None, records: Iterable[Record]) -> None:
    """Add records that belong together to the first set that has none of their names."""
    named = {str(record["n"]): record for record in records}
    for one in sets:
        if one.flaw is flaw and not one.records.keys() & named.keys():
            one.records |= named
            return
    sets.append(_Set(flaw, named))


def _readings(sample: Sample) -> list[Record]:
    tilt = words.tilt(sample.values)
    angle: list[Record] = (
        [] if tilt is None else [{"n": "tilt", "u": "rad", "v": Decimal(f"{tilt:.3f}")}]
    )
    return angle + [
        {"n": channel.label, "u": unit, "v": words.quantity(channel, value)}
        for channel, unit, value in zip(SAMPLED, _UNITS, sample.values, strict=True)
        if value is not None
    ]


def _event(event: Event) -> list[Record]:
    if event.type is EventType.POSITION:
        return [
            {"n": "latitude", "u": "lat", "v": event.number("latitude") * _MICRO},
            {"n": "longitude", "u": "lon", "v": event.number("longitude") * _MICRO},
        ]
    if event.type in {EventType.ALARM_START, EventType.ALARM_END}:
        # The two have different names, because an alarm may start and end at one sample.
        said = ["start"] if event.type is EventType.ALARM_START else ["end"]
        said += ["arrival"] * words.is_withdrawal(event)
        return [{"n": f"alarm/{event.number('rule')}/{what}", "vb": True} for what in said]
    if words.is_acknowledgement(event):
        return [{"n": "alarm/acknowledged", "vb": True}]
    if event.type is EventType.SHOCK:
        return [
            {
                "n": f"shock/{axis}",
                "u": "m/s2",
                "v": words.quantity(Channel.SHOCK, event.number(axis)),
            }
            for axis in "xyz"
        ]
    if event.type is EventType.FREE_FALL:
        duration = words.quantity(Channel.FREE_FALL, event.number("duration"))
        return [{"n": "free_fall", "u": "s", "v": duration}]
    if event.type is EventType.CELL:
        power = Decimal(event.number("signal") + _DBM_IN_DBW)
        return [
            {"n": "cell", "vs": words.cell(event)},
            {"n": "cell/signal", "u": "dBW", "v": power},
        ]
    return []


def _seconds(utc_ms: int) -> Decimal:
    return Decimal(utc_ms).scaleb(-3)


def _number(value: str | bool | Decimal) -> str | bool | int | Decimal:
    if not isinstance(value, Decimal):
        return value
    value = value.normalize()
    return int(value) if value == value.to_integral_value() else value
