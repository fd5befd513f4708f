"""Whatever happens on the way: the gateway holds what the sensors answered, byte by byte again."""

import contextlib
import functools
import sqlite3
from collections.abc import Callable
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import cbor2
import pytest

from coldtrail_simulator.clock import US_PER_S
from coldtrail_simulator.report.report import Evidence
from coldtrail_simulator.shipment.shipment import Shipment
from tests.support.extent import slice_or_all
from tests.support.host import full_load
from tests.support.trackers.journeys import evidence, sealed_blocks, travel

INTERVAL_S = 300
ALARM_INTERVAL_S = 120
ALARM_START = 5
SEEDS = {"flight_15h": 7, "broker_outage": 7, "gateway_killed": 7, "power_cuts": 11}


def powered(shipment: Shipment) -> list[tuple[float, float]]:
    """Return the spans with power up to the end of the shipment, in seconds."""
    end = next(note["us"] for note in shipment.of("button")) / US_PER_S
    spans, since = [], 0.0
    for note in shipment.notes:
        if note["kind"] == "power-off":
            spans.append((since, note["us"] / US_PER_S))
            since = -1.0
        elif note["kind"] == "boot" and note["cause"] == "power-on" and since < 0:
            since = note["us"] / US_PER_S
    return [*spans, (since, end)]


def expected_samples(shipment: Shipment) -> int:
    """Return how many samples the time with power holds: one at each boot, then on the grid."""
    return sum(1 + int((off - on) // INTERVAL_S) for on, off in powered(shipment))


def samples_without_a_clock(held: Evidence) -> int:
    """Count the samples of boots that ended before they had heard the time from anybody."""
    synchronised = {event["boot"] for event in held.events if event["type"] == "clock-sync"}
    lost = [row for row in held.rows if int(row["boot"]) not in synchronised]
    boots = [int(row["boot"]) for row in lost]
    # A boot calls for the time at once, so one cut short has its first sample and few more.
    assert all(boots.count(boot) <= 2 for boot in boots)
    return len(lost)


def check_the_alarm_comes_first(shipment: Shipment, held: Evidence) -> None:
    """Fifteen hours of backlog, then an alarm: its block is first, the rest lies by its time."""
    silent = next(leg for leg in shipment.world.legs if leg.coverage == "none")
    heard = next(leg for leg in shipment.world.legs if leg.from_h > silent.from_h)
    zero_ms = shipment.scenario.scenario.start.timestamp() * 1000
    with contextlib.closing(sqlite3.connect(shipment.database)) as database:
        came = list(database.execute("SELECT number, received_ms, sealed FROM blocks ORDER BY id"))
    late = [block for block in came if block[1] > zero_ms + heard.from_h * 3_600_000]
    contents = [cbor2.loads(cbor2.loads(sealed).value[2]) for _, _, sealed in late]
    alarms = [
        (place, event[1])
        for place, payload in enumerate(contents)
        for event in payload.get(9, [])
        if event[0] == ALARM_START
    ]
    [(place, since)] = alarms
    assert place == 0
    assert silent.from_h + 14 < since / 3600 < heard.from_h
    # Its number says that it was sealed after the backlog, and nothing of that was left behind.
    numbers = [number for number, _, _ in late]
    assert sorted(numbers) == list(range(min(numbers), max(numbers) + 1))
    assert len([number for number in numbers if number < numbers[0]]) >= 14
    times = [datetime.fromisoformat(row["time_utc"]).timestamp() for row in held.rows]
    assert times == sorted(times)
    for earlier, later in pairwise(times):
        standing = earlier >= zero_ms / 1000 + since - 1
        expected = (INTERVAL_S, ALARM_INTERVAL_S) if standing else (INTERVAL_S,)
        assert any(abs(later - earlier - gap) < 1.5 for gap in expected), (earlier, later)


@pytest.fixture(scope="module")
def travelled(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Shipment]:
    """Return a function that runs a story once, without further load."""
    return functools.cache(
        lambda name: travel(name, SEEDS[name], tmp_path_factory.mktemp(name) / "out")
    )


@pytest.mark.parametrize("name", ["flight_15h", "broker_outage", "gateway_killed"])
def test_everything_arrives(travelled: Callable[[str], Shipment], name: str):
    idle = travelled(name)
    held = evidence(idle)
    comparison = held.comparison()
    assert comparison.complete, comparison
    if name == "flight_15h":
        check_the_alarm_comes_first(idle, held)
    else:
        assert comparison.taken == expected_samples(idle)
    assert held.chain_ok, held.verdict
    assert all(idle.confirms(int(row["block"])) for row in held.rows)


def test_power_cuts_cost_at_most_the_sample_in_progress(travelled: Callable[[str], Shipment]):
    idle = travelled("power_cuts")
    cuts = len(idle.of("power-off"))
    assert cuts == 20
    held = evidence(idle)
    comparison = held.comparison()
    assert not comparison.invented
    assert comparison.worst_s <= 1.0
    assert comparison.unplaced == samples_without_a_clock(held)
    offs = [note["us"] / US_PER_S for note in idle.of("power-off")]
    for missing in comparison.missing:
        # Measured, and the power failed before the record was written.
        assert any(0 <= off - missing < 1.0 for off in offs), missing
    assert expected_samples(idle) - cuts <= comparison.stored <= expected_samples(idle)
    assert held.chain_ok, held.verdict


@pytest.mark.slow
@pytest.mark.parametrize("name", slice_or_all(["gateway_killed"], list(SEEDS)))
def test_the_same_seed_gives_the_same_bytes_under_full_load(
    travelled: Callable[[str], Shipment], name: str, tmp_path: Path
):
    idle = travelled(name)
    with full_load():
        busy = travel(name, SEEDS[name], tmp_path / "busy")
    assert sealed_blocks(busy) == sealed_blocks(idle)


def test_a_task_that_hangs_ends_in_a_watchdog_reset_with_the_log_whole(tmp_path: Path):
    shipment = travel("hang", 3, tmp_path / "out")
    causes = [note["cause"] for note in shipment.of("boot")]
    assert len(shipment.of("hung")) == 1
    assert causes.count("watchdog") == 1
    held = evidence(shipment)
    comparison = held.comparison()
    assert comparison.complete, comparison
    assert held.chain_ok, held.verdict
    # The first boot came before the shipment began, so it is none of its history.
    boots = [event for event in held.events if event["type"] == "boot"]
    assert [boot["cause"] for boot in boots] == ["watchdog"]
