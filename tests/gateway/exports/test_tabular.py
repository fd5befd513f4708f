"""The JSON and CSV exports: what a dropped, badly calibrated box leaves for its readers."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest

from coldtrail_gateway.contract import words as codes
from coldtrail_gateway.contract.utc import iso
from coldtrail_gateway.exports import tabular
from tests.support.blocks.blockmaker import BOOT_EVENT, Maker
from tests.support.blocks.journey import START, SYNC, rough_journey, told


def document(*blocks: bytes) -> Any:
    return json.loads(tabular.to_json(told(*blocks)))


def test_events_in_words() -> None:
    told_events = document(*rough_journey())["events"]
    said = {event["type"]: event for event in told_events}
    assert [said["shock"][axis] for axis in "xyz"] == [-214, 8120, 1033]
    assert said["free-fall"]["duration"] == 310
    assert (said["alarm-start"]["channel"], said["alarm-start"]["unit"]) == ("shock_mg", "mg")
    assert (said["cell"]["technology"], said["cell"]["signal"]) == ("LTE-M", -97)
    assert (said["radio"]["repeats"], said["radio"]["refused"]) == (3, 2)
    assert said["service"]["on"] == "start"
    taken, done = (event for event in told_events if event["type"] == "command-outcome")
    assert (taken["action"], taken["outcome"]) == ("acknowledge", "taken")
    assert "reason" not in taken
    assert (done["outcome"], done["reason"]) == ("done", "seen")


def test_a_reading_beyond_the_range_of_its_part_is_no_number() -> None:
    start = (5, 300, 1, 1, 3, 3, 5000, 0, 2**24 - 1, 0)
    end = (6, 600, 1, 1, -(2**24) + 1, 2**24 - 1, 300)
    sample = (300, 14 << 8, (500, *[None] * 7))
    told_all = document(Maker().block([sample], [BOOT_EVENT, start, end], SYNC))
    said = {event["type"]: event for event in told_all["events"]}
    assert said["alarm-start"]["value"] == "above its range"
    assert said["alarm-end"]["minimum"] == "below its range"
    assert said["alarm-end"]["maximum"] == "above its range"
    assert told_all["samples"][0]["status"] == "light above its range"


def test_a_calibration_that_fell_due_on_the_way() -> None:
    """The tracker told of it when it booted, before the shipment began."""
    told_all = document(*rough_journey())
    (calibration,) = told_all["calibrations"]
    assert {name: calibration[name] for name in ("channel", "instrument", "certificate")} == {
        "channel": "payload_c",
        "instrument": "PT/1",
        "certificate": "DKD 17",
    }
    assert calibration["due"] == iso((START + 450) * 1000)
    assert calibration["points"] == [[-8000, 4], [800, -2]]
    assert calibration["overdue"] is True
    assert calibration["verified"] == "yes"
    flagged = [sample["status"] for sample in told_all["samples"]]
    assert flagged == ["", "calibration overdue"]


@pytest.mark.parametrize(("due", "overdue"), [(START + 299, True), (START + 300, False)])
def test_a_calibration_is_good_until_its_due_date(due: int, overdue: bool) -> None:
    calibration = (16, 0, 0, "P", "C", START, due, ())
    other = (16, 0, 4, "B", "C", START, START, ())
    sample = (300, 0, (500, *[None] * 7))
    block = Maker().block([sample], [BOOT_EVENT, calibration, other], SYNC)
    (found,) = document(block)["calibrations"]
    assert (found["instrument"], found["overdue"]) == ("P", overdue)


def test_a_calibration_told_at_every_boot_is_one() -> None:
    maker = Maker()
    calibration = (16, 0, 0, "P", "C", START, START, ())
    sample = (300, 0, (500, *[None] * 7))
    first = maker.block([sample], [BOOT_EVENT, calibration])
    maker.boot = 2
    second = maker.block([sample], [(3, 0, 2, 1, 0, "1.0"), calibration], SYNC)
    (found,) = document(first, second)["calibrations"]
    assert found["overdue"]


@pytest.mark.parametrize(
    ("axes", "degrees"),
    [
        ((0, 0, 1000), "0"),
        ((0, 707, 707), "45"),
        ((-600, 800, 0), "90"),
        ((0, 0, -1000), "180"),
        ((0, 0, 0), ""),
        ((None, 0, 1000), ""),
    ],
)
def test_tilt_of_a_sample(axes: tuple[int | None, ...], degrees: str) -> None:
    sample = (0, 0, (*[None] * 5, *axes))
    (row,) = csv.DictReader(io.StringIO(tabular.to_csv(told(Maker().block([sample])))))
    assert row["tilt_deg"] == degrees


@pytest.mark.parametrize(
    ("subject", "code", "words"),
    [
        (0, 3, "open"),
        (3, 12, "interrupt storm"),
        (2, 14, "above its range"),
        (1, 15, "below its range"),
        (5, 14, "nearly full"),
        (7, 1, "no sync for 6 h"),
        (9, 10, "replay"),
        (9, 2, "a message did not verify"),
        (30, 0, "code 0"),
    ],
)
def test_faults_in_words(subject: int, code: int, words: str) -> None:
    assert codes.fault(subject, code) == words
