"""The world is what the scenario says, what it leaves open depends on the seed alone."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

import pytest

from coldtrail_simulator.world import scenario
from coldtrail_simulator.world.scenario import Scenario
from coldtrail_simulator.world.world import World

BASE = {
    "scenario": {
        "name": "here",
        "title": "Two places",
        "duration_h": 48,
        "board": "esp32_bg95",
        "profile": "refrigerated_2_8",
        "start": datetime(2025, 1, 6, 12, tzinfo=UTC),
    },
    "leg": [
        {
            "from_h": 0,
            "place": "Quito",
            "latitude": -0.2,
            "longitude": -78.0,
            "ambient": {"mean_c": 15.0, "swing_c": 10.0},
            "dew_point_c": 5.0,
            "light_lx": 400.0,
            "coverage": "NB-IoT",
        },
        {
            "from_h": 30,
            "place": "In the air",
            "latitude": 10.0,
            "longitude": -60.0,
            "ambient_table": [{"at_h": 1, "c": 10.0}, {"at_h": 3, "c": 20.0}],
            "coverage": "none",
        },
    ],
}


def world(*events: Mapping[str, object], seed: int = 1, **tables: Mapping[str, object]) -> World:
    fields = {
        **BASE,
        **tables,
        "event": list(events),
    }
    return World(Scenario.model_validate(fields), seed)


def test_air_is_warmest_in_the_afternoon_of_the_place() -> None:
    here = world()
    # 15:00 at 78 degrees west is 20:12 UTC: 8.2 h after the start at noon UTC.
    day = {minute: here.ambient_c(minute * 60) for minute in range(24 * 60)}
    assert max(day, key=lambda minute: day[minute]) == pytest.approx(8.2 * 60, abs=1)
    assert max(day.values()) == pytest.approx(20, abs=1e-3)
    assert min(day.values()) == pytest.approx(10, abs=1e-3)


@pytest.mark.parametrize(
    ("hour", "expected"), [(30, 10), (31, 10), (31.5, 12.5), (32, 15), (33, 20), (47, 20)]
)
def test_a_table_is_joined_by_straight_lines(hour: float, expected: float) -> None:
    assert world().ambient_c(hour * 3600) == pytest.approx(expected)


def test_a_leg_lasts_until_the_next() -> None:
    here = world()
    for t, place, coverage in (
        (0, "Quito", "NB-IoT"),
        (30 * 3600 - 0.001, "Quito", "NB-IoT"),
        (30 * 3600, "In the air", "none"),
        (90 * 3600, "In the air", "none"),
    ):
        assert here.leg(t).place == place
        assert here.coverage(t) == coverage
    assert here.position(0) == (-0.2, -78.0)
    assert here.position(31 * 3600) == (10.0, -60.0)


def test_air_dries_as_it_warms() -> None:
    here = world()
    # WMO-No. 8: water's saturation pressure is 8.73 hPa at 5 degC, 12.28 at 10 and 23.39 at 20.
    night, day = 20.2 * 3600, 8.2 * 3600
    assert here.humidity(night) == pytest.approx(100 * 8.73 / 12.28, abs=0.3)
    assert here.humidity(day) == pytest.approx(100 * 8.73 / 23.39, abs=0.3)


def test_an_open_box_is_light_and_lets_heat_in() -> None:
    closed = world()
    opened = world({"at_h": 8, "kind": "door", "for_min": 30})
    assert [opened.lux(hour * 3600) for hour in (7.99, 8, 8.49, 8.5)] == [0, 400, 400, 0]
    assert opened.payload_c(8 * 3600) == closed.payload_c(8 * 3600)
    assert opened.payload_c(8.5 * 3600) > closed.payload_c(8.5 * 3600) + 0.1


def test_light_and_motion_change_when_they_are_said_to() -> None:
    here = world(
        {"at_h": 1, "kind": "tilt", "face": "x+", "for_h": 1},
        {"at_h": 3, "kind": "drop", "height_m": 0.5},
        {"at_h": 8, "kind": "door", "for_min": 30, "lux": 2.0},
    )
    assert [here.lux(hour * 3600) for hour in (7.99, 8, 8.49, 8.5)] == [0, 2, 2, 0]
    assert here.light_changes == [8 * 3600, 8.5 * 3600]
    assert here.acceleration(1.5 * 3600) == (1, 0, 0)
    assert here.acceleration(3 * 3600 + 0.1) == (0, 0, 0)
    assert [round(start / 3600, 3) for start, _ in here.motions] == [1, 2, 3]


def test_a_drop_that_costs_the_vacuum_warms_the_box() -> None:
    whole = world({"at_h": 2, "kind": "drop", "height_m": 1.0})
    leaking = world({"at_h": 2, "kind": "drop", "height_m": 1.0, "leaks": 50})
    assert leaking.payload_c(2 * 3600) == whole.payload_c(2 * 3600)
    assert leaking.payload_c(9 * 3600) > whole.payload_c(9 * 3600) + 0.5


def test_re_icing_cools_from_its_hour_on() -> None:
    cooled, left = world({"at_h": 20, "kind": "re_ice", "pcm_c": -5.0}), world()
    assert cooled.payload_c(20 * 3600) == left.payload_c(20 * 3600)
    assert cooled.payload_c(21 * 3600) < left.payload_c(21 * 3600) - 0.1


def test_the_payload_does_not_depend_on_when_it_is_asked_for() -> None:
    door = {"at_h": 8, "kind": "door", "for_min": 7}
    often, seldom = world(door), world(door)
    for minute in range(47 * 60 + 1):
        frequent = often.payload_c(minute * 60)
    assert seldom.payload_c(47 * 3600) == frequent


def test_the_seed_alone_decides_what_is_left_open() -> None:
    variation = {"ambient_c": 3.0, "swing_c": 2.0, "leg_h": 1.0}
    cuts = {"at_h": 1, "until_h": 21, "times": 10, "kind": "power_cut", "off_s": 5.0}
    first, same, other = (world(cuts, seed=seed, variation=variation) for seed in (1, 1, 2))
    assert first.events == same.events
    assert first.legs == same.legs
    assert first.events != other.events
    assert first.legs != other.legs
    assert first.legs[0].from_h == 0
    for leg, written in zip(first.legs, first.scenario.leg, strict=True):
        assert abs(leg.from_h - written.from_h) <= 1
        if leg.ambient and written.ambient:
            assert 0 < abs(leg.ambient.mean_c - written.ambient.mean_c) <= 3
            assert 0 < abs(leg.ambient.swing_c - written.ambient.swing_c) <= 2
    # Every two hours, one moment.
    assert [int((t / 3600 - 1) // 2) for t, _ in first.events] == list(range(10))


def test_events_come_in_order_of_time() -> None:
    here = world(
        {"at_h": 20, "kind": "hang"},
        {"at_h": 2, "until_h": 40, "times": 5, "kind": "power_cut", "off_s": 5.0},
        {"at_h": 1, "kind": "button", "hold_s": 1.0},
    )
    times = [t for t, _ in here.events]
    assert times == sorted(times)
    assert len(times) == 7
    assert here.events[0][1].kind == "button"


PAYLOAD = {
    "on_its_side": (-196, -189),
    "cryogenic_fall": (-196, -90),  # the vacuum is lost
    "warm_at_packing": (2, 18.1),
}
"""Where the payload goes where that is not 0 to 8 degC."""


@pytest.mark.parametrize("name", scenario.shipped())
def test_every_shipped_scenario_makes_a_world(name: str) -> None:
    shipped = scenario.load(name)
    here = World(shipped, 0)
    for hour in range(int(shipped.scenario.duration_h)):
        assert -30 < here.ambient_c(hour * 3600) < 45
        assert 0 < here.humidity(hour * 3600) <= 100
        low, high = PAYLOAD.get(name, (0, 8))
        assert low < here.payload_c(hour * 3600) < high
