"""The host's schema of a profile agrees with the contract and with the tracker's loader."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import cbor2
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from coldtrail.judging import profile as device
from coldtrail_boards.cli import main
from coldtrail_boards.errors import BoardError
from coldtrail_boards.profiles import profile
from coldtrail_boards.profiles.profile import Profile
from coldtrail_boards.quantities import CHANNELS
from tests.support.blocks import cddl, contract

SHIPPED = sorted(path.stem for path in profile.DIRECTORY.glob("*.toml"))

LIMITS = [
    pytest.param(value, good, id=what)
    for message in (contract.PROFILE, contract.PROFILE_RULE)
    for what, value, good in message.variants()
]


def host_takes(fields: Any) -> bool:
    try:
        Profile.from_wire(fields)
    except ValueError:
        return False
    return True


def device_takes(fields: Any) -> bool:
    try:
        device.load(cbor2.dumps(fields, canonical=True))
    except ValueError:
        return False
    return True


@pytest.mark.parametrize(("fields", "good"), LIMITS)
def test_the_limits_of_the_contract_are_those_of_host_and_tracker(fields: Any, good: bool) -> None:
    if good:
        # Some fields have rules among them; those are not the contract's, but shared.
        assert host_takes(fields) == device_takes(fields)
    else:
        assert not host_takes(fields)
        assert not device_takes(fields)


def _near(low: int, high: int) -> st.SearchStrategy[int]:
    return st.one_of(
        st.integers(low, high), st.sampled_from([low - 1, low, low + 1, high - 1, high, high + 1])
    )


RULES = st.lists(
    st.tuples(
        _near(0, 255), _near(1, 4), _near(0, 9), _near(1, 4), _near(-16777215, 16777215),
        st.one_of(st.just(0), _near(0, 1073741823)),
        st.one_of(st.just(0), _near(0, 16777215)),
        st.one_of(st.just(0), _near(0, 86400)),
    ).map(list),
    max_size=4,
)  # fmt: skip
WIRE = st.fixed_dictionaries(
    {
        0: st.just(1),
        1: st.text(max_size=33),
        2: st.one_of(_near(1, 86400), st.sampled_from([60, 300])),
        3: _near(1, 86400),
        4: _near(60, 604800),
        5: _near(60, 604800),
        6: _near(0, 604800),
        7: RULES,
    },
    optional={
        8: st.lists(_near(0, 9), max_size=11),
        9: _near(0, 1),
        10: _near(0, 604800),
        11: st.lists(_near(0, 9), max_size=11),
        12: _near(0, 1),
        13: _near(0, 86400),
        14: _near(0, 3600),
    },
)


@given(WIRE)
@settings(max_examples=600, deadline=None)
def test_host_and_tracker_take_the_same_profiles(fields: dict[int, Any]) -> None:
    try:
        taken = Profile.from_wire(copy.deepcopy(fields))
    except ValueError:
        assert not device_takes(fields)
        return
    data = taken.encode()
    loaded = device.load(data)
    assert cddl.is_valid("profile", data)
    assert [list(rule) for rule in loaded.rules] == fields[7]
    assert Profile.from_wire(cbor2.loads(data)) == taken


@given(st.recursive(st.none() | st.integers() | st.text() | st.booleans(), st.lists, max_leaves=9))
@settings(max_examples=100)
def test_nonsense_is_refused_and_nothing_else_happens(nonsense: Any) -> None:
    for key in (0, 1, 2, 7, 8, 9, 10, 11, 12, 13, 14):
        fields = {**contract.PROFILE.example, key: nonsense}
        assert host_takes(fields) == device_takes(fields)
    assert not host_takes(nonsense)


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_profiles_are_named_as_their_files(name: str) -> None:
    shipped = profile.load(name)
    assert shipped.name == name
    assert cddl.is_valid("profile", shipped.encode())


def test_the_refrigerated_profile_is_what_its_file_says() -> None:
    # The numbers are read off boards/profiles/refrigerated_2_8.toml by hand.
    assert profile.load("refrigerated_2_8").wire() == {
        0: 1,
        1: "refrigerated_2_8",
        2: 300,
        3: 120,
        4: 3600,
        5: 1800,
        6: 7200,
        7: [
            [1, 4, 0, 3, 800, 86400, 0, 28800],
            [2, 2, 0, 3, 800, 1800, 10, 0],
            [3, 3, 0, 3, 800, 7200, 10, 0],
            [4, 2, 0, 1, 200, 1800, 10, 0],
            [5, 1, 0, 2, -50, 0, 10, 0],
            [6, 2, 4, 1, 3690, 3600, 100, 0],
            [7, 1, 3, 3, 100, 0, 50, 0],
            [8, 1, 8, 3, 8000, 0, 0, 0],
        ],
        8: [0],
        10: 14400,
        11: [0, 5, 7],
        12: 1,
        14: 600,
    }


@pytest.mark.parametrize("name", SHIPPED)
def test_host_and_tracker_agree_on_what_a_shipped_profile_needs(name: str) -> None:
    shipped = profile.load(name)
    wanted = device.wanted(device.load(shipped.encode()))
    assert [CHANNELS.index(channel) for channel in shipped.needs] == wanted


@pytest.mark.parametrize(
    ("channel", "text", "wire"),
    [
        ("payload", ">= 45 °C", [4, 4500]),
        ("payload", "<= -0.5 °C", [2, -50]),
        ("ambient", "<-15.00°C", [1, -1500]),
        ("humidity", "> 65.5 %RH", [3, 655]),
        ("light", "> 2 lx", [3, 200]),
        ("battery", "< 3300 mV", [1, 3300]),
        ("acceleration_z", "< 707 mg", [1, 707]),
        ("shock", "> 6000 mg", [3, 6000]),
        ("free_fall", ">= 100 ms", [4, 100]),
    ],
)
def test_limits_are_written_in_the_unit_of_the_channel(
    channel: str, text: str, wire: list[int]
) -> None:
    rule = {"id": 1, "kind": "instant", "channel": channel, "beyond": text}
    assert profile.Rule.model_validate(rule).wire()[3:5] == wire


GOOD = """
name = "mine"
interval = "5 min"
alarm_interval = "90 s"
upload_interval = "1 h"
alarm_upload_interval = "1 d"
[[rule]]
id = 7
kind = "consecutive"
channel = "payload"
beyond = "> 8.00 °C"
delay = "30 min"
"""


def run(*arguments: str | Path) -> tuple[int, str]:
    result = CliRunner().invoke(main, ["profile", *map(str, arguments)])
    return result.exit_code, result.output


def test_shows_what_the_tracker_does_of_itself(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(
        """
position_interval = "4 h"
call_at_once = ["probe", "clock"]
start_delay = "2 h"
judged_from = "first reading in the zone"
flight = "18 h"
arrival_window = "15 min"
required = ["shock"]
"""
        + GOOD
    )
    _, output = run(file)
    assert "position  every 4 h" in output
    assert "from the first reading in the zone, at the latest from 2 h after the start" in output
    assert "at once on an alarm, fault of probe, fault of clock" in output
    assert "flight    after a take-off, radio silent for at most 18 h" in output
    assert "arrival   light, shock and tilt within 15 min before the stop" in output
    assert "needs     payload, shock" in output
    assert profile.load(str(file)).wire()[11] == [0, 7]


def test_shows_a_profile_for_people(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(GOOD)
    code, output = run(file)
    assert code == 0
    assert "every 5 min, in alarm every 90 s" in output
    assert "every 1 h, in alarm every 24 h" in output
    assert "rule 7    consecutive: payload > 8.00 °C for 30 min without interruption" in output


def test_writes_what_the_tracker_reads_and_shows_it_again(tmp_path: Path) -> None:
    target = tmp_path / "profile.cbor"
    assert run("refrigerated_2_8", "-o", target) == (0, "")
    assert device.load(target.read_bytes()).name == "refrigerated_2_8"
    assert run(target) == run("refrigerated_2_8")
    assert [file.name for file in tmp_path.iterdir()] == ["profile.cbor"]


REFUSED = [
    (("name", "nmae"), "nmae is not a known key"),
    (('interval = "5 min"', ""), "interval is missing"),
    (('"5 min"', '"5 minutes"'), 'interval: must be a whole number with s, min, h or d, such as'),
    (('"1 h"', '"30 s"'), "upload_interval: input should be greater than or equal to 60"),
    (("> 8.00 °C", "8.00 °C"), "rule 1, beyond: must begin with <, <=, > or >="),
    (("8.00 °C", "8.00 K"), 'rule 1, beyond: must be in °C for payload, such as "8.00 °C"'),
    (("8.00 °C", "8.005 °C"), "rule 1, beyond: must be in °C for payload"),
    (("8.00 °C", "1e9 °C"), "rule 1, beyond, threshold: input should be less than"),
    (('delay = "30 min"', ""), "rule 7: kind consecutive needs delay"),
    (('delay = "30', 'window = "30'), "rule 7: kind consecutive needs delay"),
    (('"payload"', '"payloda"'), "rule 1, channel: input should be 'payload',"),
    (("id = 7", "id = 256"), "rule 1, id: input should be less than or equal to 255"),
    (("[[rule]]", 'judged_from = "first reading in the zone"\n[[rule]]'), "needs a start_delay"),
    (("[[rule]]", 'call_at_once = ["light", "lid"]\n[[rule]]'), "call_at_once 2: input should be"),
    (('"payload"', '"shock"'), 'rule 1, beyond: must be in mg for shock, such as "8 mg"'),
    (('"payload"\nbeyond = "> 8.00 °C"', '"free_fall"\nbeyond = "> 8 ms"'),
     "rule 1: rule 7: free_fall takes kind instant"),
    (("[[rule]]", "[[rule]"), "line 7"),
    (("> 8.00 °C", "> 110.00 °C"), "MAX31865 tells -200.00 °C to 110.00 °C"),
    (("> 8.00 °C", "< -200.00 °C"), "no part can tell payload < -200.00 °C"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "reason"), REFUSED, ids=[reason for _, reason in REFUSED])
def test_says_in_one_sentence_what_is_wrong(
    tmp_path: Path, change: tuple[str, str], reason: str
) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(GOOD.replace(*change, 1))
    target = tmp_path / "profile.cbor"
    code, output = run(file, "-o", target)
    assert code == 2
    assert f"{file}: " in output
    assert reason in output
    assert output.endswith(".\n")
    assert output.count("\n") == 1
    assert not target.exists()


def test_says_which_profiles_there_are() -> None:
    code, output = run("refrigerated")
    assert code == 2
    assert "name one of controlled_room_temperature, cryogenic" in output


def test_an_unwritable_target_leaves_nothing_behind(tmp_path: Path) -> None:
    target = tmp_path / "folder"
    target.mkdir()
    code, output = run("frozen", "-o", target)
    assert code == 2
    assert "is a directory" in output
    assert list(tmp_path.rglob("*")) == [target]


def test_garbage_in_a_cbor_file_is_one_sentence(tmp_path: Path) -> None:
    file = tmp_path / "profile.cbor"
    for data in (b"", b"\xff", b"\xa1\x00\x01", b"\x82\x00", b"\xd8\x40\x80"):
        file.write_bytes(data)
        with pytest.raises(BoardError) as caught:
            profile.load(str(file))
        assert str(caught.value).startswith(f"{file}: ")


def test_the_help_and_a_wrong_name_are_answered_with_the_shipped_profiles() -> None:
    names = sorted(path.stem for path in profile.DIRECTORY.glob("*.toml"))
    assert "refrigerated_2_8" in names
    for arguments, code in ((["--help"], 0), (["nosuch"], 2)):
        result = CliRunner().invoke(main, ["profile", *arguments])
        assert result.exit_code == code
        words = result.output.replace(",", " ").replace(".", " ").split()
        assert set(names) <= set(words)
