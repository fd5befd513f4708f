"""SenML packs against the rules of RFC 8428, and back to the samples that they came from."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from decimal import Decimal
from itertools import pairwise
from typing import Any, Final

import cbor2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coldtrail_gateway.exports import senml
from coldtrail_gateway.shipments.history import History
from tests.support.blocks.blockmaker import Maker, Row, rows
from tests.support.blocks.histories import events, samples
from tests.support.blocks.journey import START, SYNC, clone, journey, rough_journey, told

# RFC 8428: table 4 (CBOR labels), section 12.1 (the units used here), section 4.5.1 (names).
LABELS: Final = dict(enumerate("bs bv bu bt bn bver n u v vs vb s t ut vd".split(), start=-6))
UNITS: Final = {"Cel", "%RH", "lx", "V", "m/s2", "lat", "lon", "rad", "s", "dBW"}
NAME: Final = re.compile("[A-Za-z0-9][-A-Za-z0-9:./_]*")
ABSOLUTE: Final = 2**28

FACTORS: Final = {
    "payload": ("Cel", Decimal("0.01")),
    "ambient": ("Cel", Decimal("0.01")),
    "humidity": ("%RH", Decimal("0.1")),
    "light": ("lx", Decimal("0.01")),
    "battery": ("V", Decimal("0.001")),
    "acceleration_x": ("m/s2", Decimal("0.00980665")),
    "acceleration_y": ("m/s2", Decimal("0.00980665")),
    "acceleration_z": ("m/s2", Decimal("0.00980665")),
}


def resolved(pack: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return a pack's resolved records (RFC 8428, 4.6); AssertionError where it breaks a rule."""
    assert pack, "a pack has at least one record"
    base: dict[str, Any] = {"bn": "", "bt": 0, "bu": None}
    found = []
    for record in pack:
        assert set(record) <= set(LABELS.values())
        base |= {name: record[name] for name in base if name in record}
        assert sum(field in record for field in ("v", "vs", "vb", "vd")) == 1
        name = base["bn"] + record.get("n", "")
        assert NAME.fullmatch(name)
        unit = record.get("u", base["bu"])
        assert unit in UNITS or (unit is None and "v" not in record)
        value = next(record[field] for field in ("v", "vs", "vb") if field in record)
        assert isinstance(value, bool) == ("vb" in record)
        assert isinstance(value, str) == ("vs" in record)
        time = base["bt"] + record.get("t", 0)
        found.append({"name": name, "unit": unit, "time": time, "value": value})
    assert all(record["time"] >= ABSOLUTE for record in found), "relative to now, so not kept"
    assert all(a["time"] <= b["time"] for a, b in pairwise(found)), "in the order of time"
    return found


def from_json(history: History) -> list[dict[str, Any]]:
    text = senml.to_json(history)
    return resolved(json.loads(text, parse_float=Decimal, parse_int=Decimal))


def from_cbor(history: History) -> list[dict[str, Any]]:
    pack = cbor2.loads(senml.to_cbor(history))
    assert all(isinstance(label, int) for record in pack for label in record)
    return resolved([{LABELS[label]: v for label, v in record.items()} for record in pack])


def expected(history: History) -> list[tuple[Decimal, str, str, Decimal]]:
    return [
        (Decimal(placed.time.utc_ms) / 1000, f"coldtrail/CT-1/{name}", unit, value * factor)
        for placed, sample in history.samples
        for (name, (unit, factor)), value in zip(FACTORS.items(), sample.values, strict=True)
        if placed.time and value is not None
    ]


@pytest.mark.parametrize("read", [from_json, from_cbor])
def test_every_reading_is_there_exactly(read: Any) -> None:
    history = told(*journey())
    names = {f"coldtrail/CT-1/{name}" for name in FACTORS}
    records = [r for r in read(history) if r["name"] in names]
    assert len(records) > 30
    assert sorted((r["time"], r["name"], r["unit"], r["value"]) for r in records) == sorted(
        expected(history)
    )


@pytest.mark.parametrize("read", [from_json, from_cbor])
def test_shipment_positions_and_alarms(read: Any) -> None:
    records = [
        (r["name"].removeprefix("coldtrail/CT-1/"), r["value"], r["time"] - START)
        for r in read(told(*journey()))
        if r["unit"] in {None, "lat", "lon"}
    ]
    assert records == [
        ("shipment", "S-1", 0),
        ("latitude", Decimal("52.123456"), 400),
        ("longitude", Decimal("-0.000001"), 400),
        ("alarm/2/start", True, 900),
        ("alarm/2/end", True, 1500),
    ]


@pytest.mark.parametrize("read", [from_json, from_cbor])
def test_the_tilt_of_a_box_on_its_side(read: Any) -> None:
    upright, side = ((t, 0, (*[None] * 5, 0, y, z)) for t, y, z in ((0, 0, 1000), (300, -1000, 0)))
    tilts = [r for r in read(told(Maker().block([upright, side], [], SYNC))) if r["unit"] == "rad"]
    assert [float(r["value"]) for r in tilts] == [0, pytest.approx(math.pi / 2, abs=0.001)]


@pytest.mark.parametrize("read", [from_json, from_cbor])
def test_what_events_measured(read: Any) -> None:
    records = [
        (r["name"].removeprefix("coldtrail/CT-1/"), r["unit"], r["value"])
        for r in read(told(*rough_journey()))
        if r["time"] >= START + 700
    ]
    assert records == [
        ("shock/x", "m/s2", Decimal("-2.0986231")),
        ("shock/y", "m/s2", Decimal("79.629998")),
        ("shock/z", "m/s2", Decimal("10.13026945")),
        ("free_fall", "s", Decimal("0.31")),
        ("alarm/7/start", None, True),
        ("alarm/7/end", None, True),
        ("cell", None, "234-15-4660-27447297"),
        ("cell/signal", "dBW", -127),
        ("alarm/acknowledged", None, True),
    ]


def test_both_forms_say_the_same() -> None:
    history = told(*journey())
    assert from_json(history) == from_cbor(history)


def test_a_number_is_the_same_double_in_both_forms() -> None:
    history = told(*journey())
    numbers = [float(r["value"]) for r in from_cbor(history) if r["unit"]]
    assert numbers == [float(r["value"]) for r in from_json(history) if r["unit"]]


def test_what_is_not_vouched_for_says_so() -> None:
    records = {
        (r["name"].removeprefix("coldtrail/CT-1/"), r["time"] - START): r["value"]
        for r in from_cbor(told(*clone()))
    }
    assert records["payload", 0] == 5
    assert ("verified", 0) not in records
    for t in (600, 900):
        assert records["verified", t] == records["verified/2", t] == "fork"
    assert [records[name, 600] for name in ("payload", "payload/2")] == [5, Decimal("0.01")]


def test_what_has_no_time_is_left_out() -> None:
    pack = json.loads(senml.to_json(told(Maker().block(rows(3)))))
    assert pack == [{"bn": "coldtrail/CT-1/", "n": "shipment", "vs": "S-1"}]


def stored(history: History) -> dict[tuple[str, Any], Any]:
    """Return what a store that keeps records by name and time has of a pack."""
    kept = {(r["name"], r["time"]): r["value"] for r in from_cbor(history)}
    return {(name.removeprefix("coldtrail/CT-1/"), time): v for (name, time), v in kept.items()}


def test_an_alarm_that_starts_and_ends_at_one_sample_is_there() -> None:
    """A shock that is over with the sample that shows it."""
    records = stored(told(*rough_journey()))
    assert records["alarm/7/start", START + 703] is True
    assert records["alarm/7/end", START + 703] is True


def test_two_drops_in_one_second_are_both_there() -> None:
    shocks = [(14, 10, 1000, 0, 0), (14, 10, 2000, 0, 0), (15, 10, 100), (15, 10, 200)]
    records = stored(told(Maker().block(rows(1), shocks, SYNC)))
    x, falls = [
        [records[f"{name}{suffix}", START + 10] for suffix in ("", "/2")]
        for name in ("shock/x", "free_fall")
    ]
    assert x == [Decimal("9.80665"), Decimal("19.6133")]
    assert falls == [Decimal("0.1"), Decimal("0.2")]


BLOCKS = st.lists(
    st.tuples(samples(), st.lists(events, max_size=6), st.booleans()), min_size=1, max_size=3
)


@given(blocks=BLOCKS)
@settings(max_examples=60, deadline=None)
def test_a_store_by_name_and_time_keeps_every_record(
    blocks: list[tuple[list[Row], list[tuple[Any, ...]], bool]],
) -> None:
    maker = Maker()
    made = [maker.block(rows(1), [], SYNC)]
    for taken, recorded, forks in blocks:
        if forks:
            made.append(maker.copy().block(taken, [], SYNC))
        made.append(maker.block(taken, recorded, SYNC))
    history = told(*made)
    records = from_cbor(history)
    assert len({(r["name"], r["time"]) for r in records}) == len(records)
    # Nothing is left out either: each kind is counted, whatever its name.
    names = Counter(
        re.sub(r"/[0-9]+$", "", r["name"].removeprefix("coldtrail/CT-1/")) for r in records
    )
    kinds = Counter(event.name for placed, event in history.events if placed.time)
    assert names["shock/x"] == kinds["shock"]
    assert names["free_fall"] == kinds["free-fall"]
    assert names["latitude"] == kinds["position"]
    for end in ("start", "end"):
        alarms = (n for name, n in names.items() if re.fullmatch(f"alarm/[0-9]+/{end}", name))
        assert sum(alarms) == kinds[f"alarm-{end}"]
    readings = [value for placed, s in history.samples if placed.time for value in s.values]
    assert sum(names[name] for name in FACTORS) == sum(value is not None for value in readings)
