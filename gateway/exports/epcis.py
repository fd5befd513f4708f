"""A shipment as GS1 EPCIS 2.0 JSON-LD: one ObjectEvent for each block, with its sensor reports.

An exported event is never edited, because its id is derived from its content. An event that is not
vouched for has an `errorDeclaration`. An event of an earlier export that no longer holds, for
example because its time is now known better, is repeated with an `errorDeclaration` that names the
events in its place.

`deviceMetadata` names a sensor's calibration when it is known. EPCIS has no place for cells,
commands and records without a time; these are left out (`tabular.unplaced` counts them).
"""

from __future__ import annotations

import base64
import itertools
import json
import math
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from coldtrail_gateway.contract import words
from coldtrail_gateway.contract.block import Event, Sample
from coldtrail_gateway.contract.events import Channel, EventType, Subject
from coldtrail_gateway.contract.utc import iso
from coldtrail_gateway.errors import GatewayError
from coldtrail_gateway.evidence.timeline import Placement
from coldtrail_gateway.exports import text
from coldtrail_gateway.shipments.history import Boot, History, Placed

CONTEXT: Final = "https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld"
_CRS84: Final = "http://www.opengis.net/def/crs/OGC/1.3/CRS84"
_NAMESPACE: Final = uuid.uuid5(uuid.NAMESPACE_URL, "urn:coldtrail:event")
_SSCC_DIGITS: Final = 18
_SENSOR_CHANNEL: Final[Mapping[int, Channel]] = {
    Subject.PROBE: Channel.PAYLOAD,
    Subject.AMBIENT: Channel.AMBIENT,
    Subject.LIGHT: Channel.LIGHT,
    Subject.ACCELEROMETER: Channel.ACCELERATION_X,
    Subject.BATTERY: Channel.BATTERY,
}

# For each judged channel: measurement type, axis, unit (UN/ECE Recommendation 20).
_MEASURED: Final = (
    *[("Temperature", None, "CEL")] * 2,
    ("RelativeHumidity", None, "P1"),
    ("Illuminance", None, "LUX"),
    ("Voltage", None, "VLT"),
    *[("Acceleration", axis, "MSK") for axis in "xyz"],
    ("Acceleration", None, "MSK"),
    ("Time", None, "SEC"),
)

Json = dict[str, Any]


class EpcisError(GatewayError):
    """An earlier export that cannot be corrected."""


@dataclass(frozen=True, slots=True)
class _Element:
    """What was reported at a moment, or from `start` until then."""

    placed: Placed
    time: Placement
    reports: list[Json]
    start: Placement | None = None


def to_json(history: History, now_ms: int, earlier: Path | None = None) -> str:
    """Return the EPCISDocument; it corrects an earlier export where one is given.

    Raises:
        EpcisError: the earlier file is none of this shipment.
    """
    said = _read(earlier, shipment_uri(history.shipment)) if earlier else []
    declared = {e["eventID"]: e["errorDeclaration"] for e in said if "errorDeclaration" in e}
    events = []
    for elements in _by_block(history):
        event = _event(history, elements)
        event["eventID"] = f"urn:uuid:{uuid.uuid5(_NAMESPACE, json.dumps(event, sort_keys=True))}"
        if flaw := elements[0].placed.flaw:
            reason = f"urn:coldtrail:finding:{quote(flaw.value)}"
            event["errorDeclaration"] = declared.get(
                event["eventID"], {"declarationTime": iso(now_ms), "reason": reason}
            )
        events.append(event)
    document = {
        "@context": [CONTEXT, {"coldtrail": "urn:coldtrail:"}],
        "type": "EPCISDocument",
        "schemaVersion": "2.0",
        "creationDate": iso(now_ms),
        "epcisBody": {"eventList": [*events, *_corrected(said, events, now_ms)]},
    }
    return text.to_json(document, indent=1) + "\n"


def shipment_uri(shipment: str) -> str:
    """Return a shipment as a URI: an SSCC as its GS1 Digital Link, another id as a private URN."""
    if len(shipment) == _SSCC_DIGITS and shipment.isascii() and shipment.isdigit():
        weights = itertools.cycle((3, 1))
        digits = zip(map(int, shipment), weights, strict=False)
        if sum(digit * weight for digit, weight in digits) % 10 == 0:
            return f"https://id.gs1.org/00/{shipment}"
    return f"urn:coldtrail:shipment:{quote(shipment, safe='')}"


def _by_block(history: History) -> Iterator[list[_Element]]:
    """Yield what each block has to report, in the order of time."""
    calibrated = {
        (boot, calibration.event.number("channel")): calibration.event
        for calibration in history.calibrations
        for boot in calibration.boots
    }
    found = [
        _Element(placed, placed.time, _readings(placed, sample, calibrated))
        for placed, sample in history.samples
        if placed.time
    ]
    starts: dict[tuple[bytes, int], tuple[Placed, Event]] = {}
    for placed, event in history.events:
        start, begun = None, None
        if event.type is EventType.ALARM_START:
            starts[placed.chain, event.number("rule")] = (placed, event)
        elif event.type is EventType.ALARM_END:
            start, begun = starts.pop((placed.chain, event.number("rule")), (None, None))
        if placed.time:
            since = start.time if start else None
            found.append(_Element(placed, placed.time, _reports(event, begun), since))
    found = [element for element in found if element.reports]
    found.sort(key=lambda e: (e.placed.chain, e.placed.number, e.placed.digest, e.time.utc_ms))
    for _, elements in itertools.groupby(found, key=lambda element: element.placed.digest):
        yield list(elements)


def _event(history: History, elements: Sequence[_Element]) -> Json:
    placed = elements[-1].placed
    sealed = base64.urlsafe_b64encode(placed.digest).decode().rstrip("=")
    origin = {
        "deviceID": f"urn:coldtrail:tracker:{history.tracker}",
        "rawData": f"ni:///sha-256;{sealed}",  # RFC 6920: the sealed block in the archive
    }
    return {
        "type": "ObjectEvent",
        "eventTime": iso(elements[-1].time.utc_ms),
        "eventTimeZoneOffset": "+00:00",
        "epcList": [shipment_uri(history.shipment)],
        "action": "OBSERVE",
        "bizStep": "sensor_reporting",
        "disposition": "in_transit",
        "sensorElementList": [
            {
                "sensorMetadata": {**_when(element), **origin},
                "sensorReport": element.reports,
            }
            for element in elements
        ],
        "coldtrail:chain": placed.chain.hex(),
        "coldtrail:block": placed.number,
    }


def _when(element: _Element) -> Json:
    moment = iso(element.time.utc_ms)
    span = {"startTime": iso(element.start.utc_ms), "endTime": moment} if element.start else {}
    return {
        **(span or {"time": moment}),
        "coldtrail:uncertainty_s": element.time.uncertainty_ms / 1000,
    }


def _readings(
    placed: Placed, sample: Sample, calibrated: Mapping[tuple[Boot, int], Event]
) -> list[Json]:
    boot = (placed.chain, placed.boot)
    reports = [
        {
            **_measured(channel),
            "value": _value(channel, value),
            **_unit(channel),
            **_calibration(placed, calibrated.get((boot, channel))),
        }
        for channel, value in enumerate(sample.values)
        if value is not None
    ]
    tilt = words.tilt(sample.values)
    if tilt is not None:
        angle = {"component": "polar_angle", "value": round(math.degrees(tilt)), "uom": "DD"}
        reports.append({"type": "Angle", "coldtrail:channel": "tilt", **angle})
    return reports


def _calibration(placed: Placed, calibration: Event | None) -> Json:
    if calibration is None:
        return {}
    said = (calibration.fields[name] for name in ("instrument", "certificate"))
    name = ":".join(quote(str(part), safe="") for part in said)
    overdue = placed.time and placed.time.utc_ms > 1000 * calibration.number("due")
    return {
        "deviceMetadata": f"urn:coldtrail:calibration:{name}",
        **({"coldtrail:calibrationOverdue": True} if overdue else {}),
    }


def _reports(event: Event, start: Event | None) -> list[Json]:
    """Return the report of an event; an alarm's end needs its start."""
    fields: Mapping[str, Any] = event.fields
    if event.type is EventType.POSITION:
        return [
            {
                "type": "Angle",
                "component": axis,
                "value": fields[axis] / 1_000_000,
                "uom": "DD",
                "coordinateReferenceSystem": _CRS84,
            }
            for axis in ("latitude", "longitude")
        ]
    if event.type is EventType.SHOCK:
        return [
            {
                **_measured(Channel.SHOCK),
                "component": axis,
                "value": _value(Channel.SHOCK, fields[axis]),
                **_unit(Channel.SHOCK),
            }
            for axis in "xyz"
        ]
    if event.type is EventType.FREE_FALL:
        duration = {"value": _value(Channel.FREE_FALL, fields["duration"])}
        return [{**_measured(Channel.FREE_FALL), **duration, **_unit(Channel.FREE_FALL)}]
    if event.type is EventType.ALARM_START:
        channel = fields["channel"]
        alarm = {"exception": "ALARM_CONDITION", "coldtrail:rule": fields["rule"]}
        value = {**_alarming("value", channel, fields["value"]), **_unit(channel)}
        kind = {"coldtrail:alarm": words.worded(event.type, "kind", fields["kind"])}
        beyond = {"coldtrail:beyond_s": fields["seconds_beyond"]}
        return [{**_measured(channel), **alarm, **value, **kind, **beyond}]
    if event.type is EventType.ALARM_END and start:
        channel = start.number("channel")
        alarm = {"exception": "ALARM_CONDITION", "coldtrail:rule": fields["rule"]}
        extremes = {
            **_alarming("minValue", channel, fields["minimum"]),
            **_alarming("maxValue", channel, fields["maximum"]),
            **_unit(channel),
        }
        ended = {"coldtrail:ended": words.worded(event.type, "cause", fields["cause"])}
        beyond = {"coldtrail:beyond_s": fields["beyond"]}
        return [{**_measured(channel), **alarm, **extremes, **ended, **beyond}]
    if event.type is EventType.FAULT and fields["on"] and fields["subject"] in _SENSOR_CHANNEL:
        channel = _SENSOR_CHANNEL[fields["subject"]]
        fault = words.fault(fields["subject"], fields["code"])
        return [
            {**_measured(channel), "exception": "ERROR_CONDITION", "coldtrail:fault": fault},
        ]
    return []


def _measured(channel: int) -> Json:
    kind, axis, _ = _MEASURED[channel]
    named = {"type": kind, "coldtrail:channel": Channel(channel).label}
    return named | ({"component": axis} if axis else {})


def _unit(channel: int) -> Json:
    return {"uom": _MEASURED[channel][2]}


def _value(channel: int, value: int) -> float:
    return float(words.quantity(channel, value))


def _alarming(name: str, channel: int, value: int) -> Json:
    """Return a reading of an alarm; beyond the part's range there is no number for it."""
    if value in words.BEYOND_RANGE:
        return {f"coldtrail:{name}": words.BEYOND_RANGE[value]}
    return {name: _value(channel, value)}


def _corrected(said: Iterable[Json], events: Iterable[Json], now_ms: int) -> Iterator[Json]:
    """Yield what an earlier export said and this one does not, declared an error."""
    current: dict[tuple[str, int], list[str]] = {}
    ids = set()
    for event in events:
        ids.add(event["eventID"])
        block_of = (event["coldtrail:chain"], event["coldtrail:block"])
        current.setdefault(block_of, []).append(event["eventID"])
    for event in said:
        if event["eventID"] in ids:
            continue
        if "errorDeclaration" not in event:
            block_of = (event["coldtrail:chain"], event["coldtrail:block"])
            event["errorDeclaration"] = {
                "declarationTime": iso(now_ms),
                "reason": "incorrect_data",
                "correctiveEventIDs": current.get(block_of, []),
            }
        yield event


def _read(file: Path, shipment: str) -> list[Json]:
    try:
        events: list[Json] = json.loads(file.read_text(encoding="utf-8"))["epcisBody"]["eventList"]
        for event in events:
            ours = isinstance(event["eventID"], str) and isinstance(event["coldtrail:block"], int)
            if not ours or event["epcList"] != [shipment] or not event["coldtrail:chain"]:
                raise ValueError
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise EpcisError(
            f"{file} is no EPCIS export of this shipment: give a file that "
            "'coldtrail gateway export --format epcis' wrote for it."
        ) from error
    return events
