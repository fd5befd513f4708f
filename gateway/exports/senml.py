"""A shipment as a SenML Pack (RFC 8428), JSON or CBOR: readings, positions, shocks, cells, alarms.

SenML has no place for a record without a time, for uncertainty, or for why a reading is absent:
such records are left out (`tabular.unplaced` counts them); CSV and JSON have them.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

import cbor2

from coldtrail_gateway.contract import words
from coldtrail_gateway.contract.block import Event, Sample
from coldtrail_gateway.contract.events import SAMPLED, Channel, EventType
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
    moments: list[tuple[int, list[Record]]] = [
        *((p.time.utc_ms, _readings(s) + _flaw(p)) for p, s in history.samples if p.time),
        *((p.time.utc_ms, _event(e) + _flaw(p)) for p, e in history.events if p.time),
    ]
    moments = [moment for moment in moments if moment[1]]
    moments.sort(key=lambda moment: moment[0])
    pack: list[Record] = [{"bn": f"coldtrail/{history.tracker}/"}]
    pack[0] |= {"bt": _seconds(moments[0][0])} if moments else {}
    pack[0] |= {"n": "shipment", "vs": history.shipment}
    for utc_ms, (first, *others) in moments:
        pack += [{"bt": _seconds(utc_ms)} | first, *others]
    return pack


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
        return [{"n": f"alarm/{event.number('rule')}", "vb": event.type is EventType.ALARM_START}]
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


def _flaw(placed: Placed) -> list[Record]:
    return [{"n": "verified", "vs": placed.flaw.value}] if placed.flaw else []


def _seconds(utc_ms: int) -> Decimal:
    return Decimal(utc_ms).scaleb(-3)


def _number(value: str | bool | Decimal) -> str | bool | int | Decimal:
    if not isinstance(value, Decimal):
        return value
    value = value.normalize()
    return int(value) if value == value.to_integral_value() else value
