"""EPCIS documents against GS1's published JSON schema, and what they say of the shipment."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

import fastjsonschema
import pytest

from coldtrail_gateway.contract.utc import iso
from coldtrail_gateway.exports import epcis
from coldtrail_gateway.exports.epcis import EpcisError
from coldtrail_gateway.shipments.history import History
from tests.support.blocks.blockmaker import BOOT_EVENT, Maker, rows
from tests.support.blocks.journey import START, SYNC, clone, journey, rough_journey, told
from tests.support.references.epcis_schema import validator

NOW_MS = (START + 90_000) * 1000


def document(history: History, earlier: Path | None = None, now_ms: int = NOW_MS) -> Any:
    """Return the export; it must be valid."""
    exported = json.loads(epcis.to_json(history, now_ms, earlier))
    validator()(exported)
    return exported


def events(history: History, earlier: Path | None = None) -> list[Any]:
    found: list[Any] = document(history, earlier)["epcisBody"]["eventList"]
    return found


def moments(event: Any) -> dict[str, list[Any]]:
    return {
        element["sensorMetadata"].get("time") or element["sensorMetadata"]["startTime"]: element[
            "sensorReport"
        ]
        for element in event["sensorElementList"]
    }


def at(seconds: int) -> str:
    return iso((START + seconds) * 1000)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("schemaVersion",), 2),
        (("creationDate",), "today"),
        (("epcisBody",), {}),
        (("epcisBody", "eventList", 0, "eventTime"), "noon"),
        (("epcisBody", "eventList", 0, "bizStep"), "cooling"),
        (("epcisBody", "eventList", 0, "sensorElementList", 0, "sensorReport"), []),
        (
            ("epcisBody", "eventList", 0, "sensorElementList", 0, "sensorReport", 0, "type"),
            "https://gs1.org/voc/Heat",
        ),
        (("epcisBody", "eventList", 0, "errorDeclaration"), {"reason": "incorrect_data"}),
        (("epcisBody", "eventList", 0, "mood"), "cold"),
    ],
)
def test_the_schema_sees_what_is_wrong(path: tuple[Any, ...], value: Any) -> None:
    """A schema that accepts everything would be no evidence."""
    exported = document(told(*journey()))
    target = exported
    for step in path[:-1]:
        target = target[step]
    target[path[-1]] = value
    with pytest.raises(fastjsonschema.JsonSchemaException):
        validator()(exported)


def test_an_event_a_block_that_has_something_to_report() -> None:
    blocks = journey()
    first, second = events(told(*blocks))
    for number, event in enumerate((first, second), start=1):
        assert event["type"] == "ObjectEvent"
        assert event["action"] == "OBSERVE"
        assert event["bizStep"] == "sensor_reporting"
        assert event["epcList"] == ["urn:coldtrail:shipment:S-1"]
        assert event["coldtrail:block"] == number
        digest = base64.urlsafe_b64encode(hashlib.sha256(blocks[number - 1]).digest())
        assert {e["sensorMetadata"]["rawData"] for e in event["sensorElementList"]} == {
            f"ni:///sha-256;{digest.decode().rstrip('=')}"
        }
    assert (first["eventTime"], second["eventTime"]) == (at(600), at(1500))


def test_readings_in_their_units() -> None:
    first, _ = events(told(*journey()))
    said = [
        (report["type"], report.get("component"), report["value"], report["uom"])
        for report in moments(first)[at(0)]
    ]
    assert said == [
        ("Temperature", None, -196.13, "CEL"),
        ("Temperature", None, 20.0, "CEL"),
        ("RelativeHumidity", None, 45.0, "P1"),
        ("Illuminance", None, 0.0, "LUX"),
        ("Voltage", None, 3.921, "VLT"),
        ("Acceleration", "x", -0.1176798, "MSK"),
        ("Acceleration", "y", 0.30400615, "MSK"),
        ("Acceleration", "z", 9.7674234, "MSK"),
        ("Angle", "polar_angle", 2, "DD"),
    ]


def test_a_drop_is_what_its_events_measured() -> None:
    (event,) = events(told(*rough_journey()))
    reports = [r for e in event["sensorElementList"] for r in e["sensorReport"]]
    (alarm,) = (report for report in reports if "coldtrail:alarm" in report)
    assert (alarm["type"], alarm["value"], alarm["uom"]) == ("Acceleration", 79.629998, "MSK")
    assert alarm["coldtrail:channel"] == "shock"
    assert [(r["component"], r["value"]) for r in moments(event)[at(701)]] == [
        ("x", -2.0986231),
        ("y", 79.629998),
        ("z", 10.13026945),
    ]
    (fall,) = moments(event)[at(702)]
    assert (fall["type"], fall["value"], fall["uom"]) == ("Time", 0.31, "SEC")


def test_a_reading_names_the_calibration_and_whether_it_was_overdue() -> None:
    (event,) = events(told(*rough_journey()))
    for seconds, overdue in ((300, None), (600, True)):
        probe, ambient, *_ = moments(event)[at(seconds)]
        assert probe["deviceMetadata"] == "urn:coldtrail:calibration:PT%2F1:DKD%2017"
        assert probe.get("coldtrail:calibrationOverdue") is overdue
        assert "deviceMetadata" not in ambient


def test_an_alarm_beyond_the_range_of_its_part_has_no_number() -> None:
    start = (5, 300, 1, 1, 3, 3, 5000, 0, 2**24 - 1, 0)
    end = (6, 600, 1, 1, 6000, 2**24 - 1, 300)
    sample = (300, 14 << 8, (500, *[None] * 7))
    exported = told(Maker().block([sample], [BOOT_EVENT, start, end], SYNC))
    (event,) = events(exported)
    reports = [r for e in event["sensorElementList"] for r in e["sensorReport"]]
    begun, ended = (report for report in reports if "coldtrail:rule" in report)
    assert "value" not in begun
    assert begun["coldtrail:value"] == "above its range"
    assert (ended["minValue"], ended["coldtrail:maxValue"]) == (60.0, "above its range")
    assert "maxValue" not in ended


def test_positions_alarms_and_faults() -> None:
    first, second = events(told(*journey()))
    latitude, longitude = moments(first)[at(400)]
    assert (latitude["component"], latitude["value"]) == ("latitude", 52.123456)
    assert (longitude["component"], longitude["value"]) == ("longitude", -1e-06)
    reports = [r for e in first["sensorElementList"] for r in e["sensorReport"]]
    (fault,) = [report for report in reports if "exception" in report]
    assert (fault["exception"], fault["coldtrail:fault"]) == ("ERROR_CONDITION", "open")
    alarms = [
        (element["sensorMetadata"], report)
        for element in second["sensorElementList"]
        for report in element["sensorReport"]
        if report.get("exception") == "ALARM_CONDITION"
    ]
    (begun, start), (ended, end) = alarms
    assert begun["time"] == at(900)
    assert (start["type"], start["value"], start["coldtrail:alarm"]) == (
        "Temperature",
        8.12,
        "consecutive",
    )
    assert (ended["startTime"], ended["endTime"]) == (at(900), at(1500))
    assert (end["minValue"], end["maxValue"], end["coldtrail:beyond_s"]) == (8.01, 8.30, 1250)


def test_the_same_history_has_the_same_event_ids() -> None:
    history = told(*journey())
    once, again = document(history), document(history, now_ms=NOW_MS + 1)
    assert once["epcisBody"] == again["epcisBody"]
    ids = [event["eventID"] for event in once["epcisBody"]["eventList"]]
    assert len(set(ids)) == len(ids)


def test_an_alarm_ends_once_and_in_its_own_chain() -> None:
    """An end whose start is in a log that was formatted since has nothing to report."""
    start, end = (5, 300, 2, 1, 0, 3, 800, 0, 812, 0), (6, 600, 2, 1, 801, 830, 300)
    maker = Maker()
    first = maker.block(rows(2), [BOOT_EVENT, start, end, end], SYNC)
    other = Maker(chain=b"chain  2", boot=2).block(rows(2), [(3, 0, 2, 1, 0, "1"), end], SYNC)
    exported = events(told(first, other))
    reports = [r for e in exported for s in e["sensorElementList"] for r in s["sensorReport"]]
    assert sum("coldtrail:ended" in report for report in reports) == 1


def test_both_blocks_of_a_fork_are_events_of_their_own() -> None:
    ids = [event["eventID"] for event in events(told(*clone()))]
    assert len(ids) == len(set(ids)) == 3


def test_a_fork_is_declared_an_error_and_stays_as_it_was() -> None:
    blocks = clone()
    before = events(told(*blocks[:2]))
    after = events(told(*blocks))
    assert ["errorDeclaration" in event for event in after] == [False, True, True]
    declared = next(event for event in after if event["eventID"] == before[1]["eventID"])
    assert declared.pop("errorDeclaration")["reason"] == "urn:coldtrail:finding:fork"
    assert declared == before[1]


def test_an_earlier_export_is_corrected_and_not_edited(tmp_path: Path) -> None:
    """A later sync shows that the tracker's clock had run slow."""
    maker = Maker()
    blocks = [maker.block(rows(2), [BOOT_EVENT], SYNC), maker.block(rows(2, start=600))]
    file = tmp_path / "earlier.json"
    earlier = document(told(*blocks))
    file.write_text(json.dumps(earlier))
    better = maker.block(rows(1, start=90_000), [], (90_000, 0, START + 90_008, 0, 10, 2))
    *now, old, older = events(told(*blocks, better), file)
    assert all("errorDeclaration" not in event for event in now)
    assert len(now) == 3
    for was, event, instead in zip(
        earlier["epcisBody"]["eventList"], (old, older), now, strict=False
    ):
        declaration = event.pop("errorDeclaration")
        assert event == was
        assert declaration == {
            "declarationTime": iso(NOW_MS),
            "reason": "incorrect_data",
            "correctiveEventIDs": [instead["eventID"]],
        }


def test_a_declaration_is_made_once(tmp_path: Path) -> None:
    history = told(*clone())
    file = tmp_path / "earlier.json"
    earlier = document(history)
    file.write_text(json.dumps(earlier))
    assert document(history, file, NOW_MS + 1)["epcisBody"] == earlier["epcisBody"]


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"epcisBody": {"eventList": [{}]}}', '{"epcisBody": []}', "\udcff"]
)
def test_what_is_no_earlier_export(tmp_path: Path, text: str) -> None:
    file = tmp_path / "earlier.json"
    file.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(EpcisError, match="is no EPCIS export of this shipment"):
        document(told(*journey()), file)


def test_an_export_of_another_shipment_is_not_corrected(tmp_path: Path) -> None:
    file = tmp_path / "earlier.json"
    other = told(*journey(Maker(shipment="S-2")), shipment="S-2")
    file.write_text(json.dumps(document(other)))
    with pytest.raises(EpcisError):
        document(told(*journey()), file)


@pytest.mark.parametrize(
    ("shipment", "uri"),
    [
        # The example of the GS1 General Specifications, 7.9: check digit 5.
        ("106141411234567897", "https://id.gs1.org/00/106141411234567897"),
        ("106141411234567898", "urn:coldtrail:shipment:106141411234567898"),
        ("S 1/é", "urn:coldtrail:shipment:S%201%2F%C3%A9"),
    ],
)
def test_a_shipments_uri(shipment: str, uri: str) -> None:
    assert epcis.shipment_uri(shipment) == uri


def test_what_has_no_time_is_left_out() -> None:
    assert events(told(Maker().block(rows(3)))) == []
