"""`coldtrail log dump` names the fields of every record, with the units of the contract."""

from __future__ import annotations

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coldtrail_boards import logdump, records
from tests.support.blocks import event_fields

CONTRACT = event_fields.events()
UNITS = {"1e-6 degree": ("°", 6), event_fields.CHANNEL: ("@", 0)}
CHANNELS = [(unit.replace("degC", "°C"), places) for unit, places in event_fields.channels()]


def dumped(kind: int, values: list[object]) -> str:
    """Return what a dump says of a record behind its number and type."""
    line = logdump.describe(logdump.Record(7, kind, cbor2.dumps(values)))
    return line.split("  ")[-1].strip()


@pytest.mark.parametrize("kind", CONTRACT, ids=lambda kind: CONTRACT[kind].name)
def test_the_fields_of_an_event_are_the_contracts_with_their_units(kind: int) -> None:
    expected = [(name, *UNITS.get(unit, (unit, 0))) for name, unit in CONTRACT[kind].fields]
    assert [tuple(field) for field in records.fields(kind)] == expected


def test_a_sample_has_the_contracts_channels_in_their_units() -> None:
    t, status, *channels = records.fields(records.SAMPLE)
    assert (t.name, t.unit, status.name) == ("t", "s", "status")
    assert [(unit, places) for _, unit, places in channels] == CHANNELS[:8]


@pytest.mark.parametrize("channel", range(len(CHANNELS)))
def test_an_alarm_is_in_the_unit_of_its_channel(channel: int) -> None:
    unit, places = CHANNELS[channel]
    text = dumped(5, [0, 1, 1, channel, 3, 100, 0, 200, 0])
    assert f"threshold {100 / 10**places:.{places}f} {unit}, " in text
    assert f"value {200 / 10**places:.{places}f} {unit}, " in text


@pytest.mark.parametrize(
    ("kind", "values", "text"),
    [
        (
            2, [55, 53550000, -9990000, 6, 1],
            "t 55 s, latitude 53.550000 °, longitude -9.990000 °, uncertainty 6 m, source 1",
        ),
        (
            1, [60, 3, None, 2103, 455, 0, 3701, -12, 3, 1001],
            (
                "t 60 s, status 3, payload -, ambient 21.03 °C, humidity 45.5 %RH, light 0.00 lx, "
                "battery 3701 mV, acceleration x -12 mg, acceleration y 3 mg, "
                "acceleration z 1001 mg"
            ),
        ),
        (
            6, [3700, 1, 1, -16777215, 812, 60],
            (
                "t 3700 s, rule id 1, cause 1, minimum below its range, "
                "maximum 812 in the channel's unit, beyond 60 s"
            ),
        ),
        (
            16, [0, 0, "PT-1", "C-9", 1, 2, [[0, -12], [10000, 5]]],
            (
                "t 0 s, of channel payload, instrument PT-1, certificate C-9, date 1 s, due 2 s, "
                "points [[0.00, -0.12], [100.00, 0.05]] °C"
            ),
        ),
        (7, [0, "x", b"\x01\xff"], "t 0 s, profile name x, digest 01ff"),
        (17, [5, 9, 1, 1], "t 5 s, counter 9, of action 1, outcome 1"),
        (29, [3, [[5, 6]], 7, 8], "watermark 3, ranges [[5, 6]], release 7, pending 8"),
    ],
    ids=lambda value: str(value) if isinstance(value, int) else "",
)  # fmt: skip
def test_a_record_in_words(kind: int, values: list[object], text: str) -> None:
    assert dumped(kind, values) == text


@pytest.mark.parametrize("values", [[0], [0] * 20, []])
def test_fields_that_are_not_those_of_the_type_are_shown_as_they_are(values: list[int]) -> None:
    assert dumped(2, list(values)) == str(values)


ITEMS = st.recursive(
    st.none() | st.integers(-(2**64), 2**64 - 1) | st.text(max_size=5) | st.binary(max_size=5),
    lambda inner: st.lists(inner, max_size=3),
)


@given(st.sampled_from(sorted(logdump.TYPES)), st.lists(ITEMS, max_size=12))
def test_every_record_that_a_flash_may_hold_is_one_line(kind: int, values: list[object]) -> None:
    line = logdump.describe(logdump.Record(7, kind, cbor2.dumps(values)))
    assert len(line.splitlines()) == 1
