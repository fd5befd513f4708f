"""A shipment for other programs: samples as CSV; samples, events and findings as JSON."""

from __future__ import annotations

import math
import os
import tempfile
from pathlib import Path
from typing import Any, Final

from coldtrail_gateway.contract import words
from coldtrail_gateway.contract.block import Event, Sample
from coldtrail_gateway.contract.events import EventType
from coldtrail_gateway.contract.utc import iso
from coldtrail_gateway.errors import GatewayError
from coldtrail_gateway.evidence.findings import Finding
from coldtrail_gateway.exports import text
from coldtrail_gateway.shipments.history import Calibration, History, Placed

_MOMENTS: Final = {(EventType.CALIBRATION, "date"), (EventType.CALIBRATION, "due")}

COLUMNS: Final = (
    "time_utc",
    "uncertainty_s",
    "boot",
    "t_s",
    *(name for name, _, _ in words.CHANNELS),
    "tilt_deg",
    "status",
    "block",
    "chain",
    "verified",
)


class OutputError(GatewayError):
    """The file asked for cannot be written."""


def to_csv(history: History) -> str:
    """Return one line for each sample, in the order of time; unknown values are empty."""
    rows = (
        {
            **_place(placed),
            "t_s": sample.t,
            **_readings(sample),
            "status": words.status(sample.status),
            **_origin(placed),
        }
        for placed, sample in history.samples
    )
    return text.to_csv(COLUMNS, rows)


def to_json(history: History) -> str:
    """Return everything: shipment, tracker, calibrations, samples, events and findings."""
    document = {
        "shipment": history.shipment,
        "tracker": history.tracker,
        "calibrations": [_calibration(calibration) for calibration in history.calibrations],
        "samples": [_sample(placed, sample) for placed, sample in history.samples],
        "events": [_event(placed, event) for placed, event in history.events],
        "findings": [finding_fields(finding) for finding in history.findings],
    }
    return text.to_json(document, indent=1) + "\n"


def unplaced(history: History) -> int:
    """Return how many samples and events have no UTC, for formats that need one."""
    return sum(placed.time is None for placed, _ in (*history.samples, *history.events))


def write(path: Path, content: str | bytes) -> None:
    """Write a file whole or not at all.

    Raises:
        OutputError: it cannot be written; what was there before is untouched.
    """
    try:
        with tempfile.NamedTemporaryFile(
            dir=path.parent, prefix=f".{path.name}.", delete=False
        ) as file:
            temporary = Path(file.name)
            try:
                file.write(content.encode() if isinstance(content, str) else content)
                file.flush()
                temporary.chmod(0o666 & ~_umask())
                temporary.replace(path)
            except OSError:
                temporary.unlink(missing_ok=True)
                raise
    except OSError as error:
        raise OutputError(f"{path} cannot be written ({error.strerror}).") from error


def event_fields(event: Event) -> dict[str, Any]:
    """Return an event's own fields by name, numbers with a meaning in words."""
    fields: dict[str, Any] = {
        name: iso(1000 * event.number(name))
        if (event.type, name) in _MOMENTS
        else words.worded(event.type, name, value)
        for name, value in event.fields.items()
        if name != "t"
    }
    if event.type in {EventType.ALARM_START, EventType.REPEATED}:
        fields["unit"] = words.JUDGED[event.number("channel")][1]
    if event.type is EventType.FAULT:
        fields["code"] = words.fault(event.number("subject"), event.number("code"))
    return fields


def sample_fields(sample: Sample) -> dict[str, Any]:
    """Return a sample's readings in the units their names end in; None where there is none."""
    return {
        "t_s": sample.t,
        **{name: _number(reading) for name, reading in _readings(sample).items()},
        "status": words.status(sample.status),
    }


def finding_fields(finding: Finding) -> dict[str, Any]:
    """Return a finding's fields."""
    return {
        "name": str(finding.name),
        "wrong": finding.wrong,
        "chain": finding.chain.hex() if finding.chain else None,
        "first_block": finding.first,
        "last_block": finding.last,
        "text": finding.text,
    }


def _sample(placed: Placed, sample: Sample) -> dict[str, Any]:
    return {**_json_place(placed), **sample_fields(sample), **_origin(placed)}


def _calibration(calibration: Calibration) -> dict[str, Any]:
    return {
        **event_fields(calibration.event),
        "overdue": calibration.overdue,
        **_origin(calibration.placed),
    }


def _event(placed: Placed, event: Event) -> dict[str, Any]:
    return {
        "type": event.name,
        **_json_place(placed),
        "t_s": event.t,
        **event_fields(event),
        **_origin(placed),
    }


def _place(placed: Placed) -> dict[str, Any]:
    return {
        "time_utc": iso(placed.time.utc_ms) if placed.time else "",
        "uncertainty_s": f"{placed.time.uncertainty_ms / 1000:.3f}" if placed.time else "",
        "boot": placed.boot,
    }


def _json_place(placed: Placed) -> dict[str, Any]:
    if placed.time:
        return {
            "time_utc": iso(placed.time.utc_ms),
            "uncertainty_s": placed.time.uncertainty_ms / 1000,
            "boot": placed.boot,
        }
    return {
        "time_utc": None,
        "uncertainty_s": None,
        "not_before": None if placed.not_before is None else iso(placed.not_before),
        "not_after": None if placed.not_after is None else iso(placed.not_after),
        "boot": placed.boot,
    }


def _readings(sample: Sample) -> dict[str, str]:
    readings = {
        name: "" if value is None else words.scaled(channel, value)
        for channel, ((name, _, _), value) in enumerate(
            zip(words.CHANNELS, sample.values, strict=True)
        )
    }
    tilt = words.tilt(sample.values)
    return {**readings, "tilt_deg": "" if tilt is None else str(round(math.degrees(tilt)))}


def _number(reading: str) -> float | int | None:
    if not reading:
        return None
    return float(reading) if "." in reading else int(reading)


def _origin(placed: Placed) -> dict[str, Any]:
    return {
        "block": placed.number,
        "chain": placed.chain.hex(),
        "verified": placed.flaw.value if placed.flaw else "yes",
    }


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
