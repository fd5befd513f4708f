"""What a threshold may be: the contract's table, drivers, boards, host and tracker agree."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import cbor2
import pytest

from coldtrail.judging import profile as device
from coldtrail.log.records import ALARM_START, FAULT, SAMPLE, SHOCK
from coldtrail_boards import quantities
from coldtrail_boards.profiles.profile import COMPARISONS, Profile
from coldtrail_simulator.board import file as board_files
from coldtrail_simulator.paths import BOARDS
from drivers import lis2dw12, max31865, opt3001, sht45
from tests.boards.packing import refused
from tests.support.trackers import bench

TABLE: dict[str, dict[str, Any]] = tomllib.loads(
    (Path(__file__).resolve().parents[2] / "firmware" / "ranges.toml").read_text(encoding="utf-8")
)


def profile(channel: int, comparison: int, threshold: int) -> dict[int, Any]:
    rule = [7, 1, channel, comparison, threshold, 0, 0, 0]
    return {0: 1, 1: "p", 2: 300, 3: 300, 4: 3600, 5: 3600, 6: 0, 7: [rule]}


def taken(fields: dict[int, Any]) -> bool:
    """Return whether host and tracker take a profile, who must agree."""
    answers = []
    for load, given in ((Profile.from_wire, fields), (device.load, cbor2.dumps(fields))):
        try:
            load(given)
            answers.append(True)
        except ValueError:
            answers.append(False)
    assert answers[0] is answers[1]
    return answers[0]


def test_host_and_contract_name_the_same_channels_and_parts() -> None:
    assert [(name, entry["channel"]) for name, entry in TABLE.items()] == [
        (name, index) for index, name in enumerate(quantities.CHANNELS)
    ]
    assert list(quantities.RANGES) == [
        (entry["part"], entry["low"], entry["high"]) for entry in TABLE.values()
    ]


@pytest.mark.parametrize("name", TABLE)
@pytest.mark.parametrize("comparison", range(1, 5), ids=COMPARISONS)
def test_the_first_reading_beyond_must_be_one_that_the_part_gives(
    name: str, comparison: int
) -> None:
    entry = TABLE[name]
    channel, low, high = entry["channel"], entry["low"], entry["high"]
    if channel > 7 and comparison < 3:
        assert not taken(profile(channel, comparison, (low + high) // 2))
        return
    to_first = {1: 1, 2: 0, 3: -1, 4: 0}[comparison]
    for first, good in ((low - 1, False), (low, True), (high, True), (high + 1, False)):
        assert taken(profile(channel, comparison, first + to_first)) is good


@pytest.mark.parametrize("board", sorted(path.parent.name for path in BOARDS.glob("*/board.py")))
def test_every_board_has_the_part_that_the_table_names(board: str) -> None:
    sensors = board_files.load(BOARDS / board / "board.py")["SENSORS"]
    for entry in TABLE.values():
        assert sensors[entry["sensor"]]["part"] == entry["part"]


def test_the_ranges_are_what_the_drivers_give() -> None:
    readings = {
        "light": [opt3001.lux(code) for code in (0, 0xBFFF)],
        "humidity": [sht45.humidity(ticks) for ticks in (0, 0xFFFF)],
        "acceleration_x": [lis2dw12.mg(0, 0x80), lis2dw12.mg(0xFC, 0x7F)],
    }
    for name, ends in readings.items():
        assert (TABLE[name]["low"], TABLE[name]["high"]) == tuple(ends)
    for end in (TABLE["payload"]["low"], TABLE["payload"]["high"]):
        code = max31865.resistance(end) * 32768 // (4300 * 1_000_000)
        assert abs(max31865.temperature(code, 4300) - end) <= 4  # a code is 0.033 degC


@pytest.mark.parametrize(
    ("beyond", "says"),
    [
        ("> 200 mg", "no part can tell shock > 200 mg: the LIS2DW12 tells 1250 mg to 15750 mg"),
        ("> 249 mg", "no part can tell shock > 249 mg"),
        (">= 1249 mg", "no part can tell shock >= 1249 mg"),
        ("> 15750 mg", "no part can tell shock > 15750 mg"),
    ],
)
def test_a_shock_that_cannot_be_told_is_refused_by_every_command(
    beyond: str, says: str, tmp_path: Path
) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(
        'name = "mine"\ninterval = "5 min"\nalarm_interval = "5 min"\nupload_interval = "1 h"\n'
        'alarm_upload_interval = "1 h"\n[[rule]]\nid = 1\nkind = "instant"\nchannel = "shock"\n'
        f'beyond = "{beyond}"\n'
    )
    out = tmp_path / "CT-1.identity"
    network = ("--broker", "mqtt://broker.example", "--apn", "iot")
    assert says in refused("profile", path)
    assert says in refused("provision", "tracker", "CT-1", *network, "--profile", path, "-o", out)
    assert not out.exists()


def test_the_least_shock_that_is_told_is_none_at_rest(tmp_path: Path) -> None:
    """On a real tracker, two hours: at a lower limit the part's wake-up comes 12 times an hour."""
    rule = (1, 1, TABLE["shock"]["channel"], 4, TABLE["shock"]["low"], 0, 0, 0)
    files = {"profile.cbor": bench.profile([rule])}
    with bench.BenchTracker(tmp_path / "volume", files=files) as here:
        here.power_on()
        here.wait(7200)
        assert len(here.records(SAMPLE)) >= 119
        assert here.records(ALARM_START, SHOCK, FAULT) == []
