"""`log tail` names the fields of every record, with the units of the contract."""

import pytest

from coldtrail.console import fields
from coldtrail.log import records
from tests.support.blocks import event_fields

CONTRACT = event_fields.events()
UNITS = {"1e-6 degree": ("deg", 6), event_fields.CHANNEL: ("@", 0)}


def table() -> dict[int, list[tuple[str, str, int]]]:
    """Return the module's table: (name, unit, decimal places) of each field, by the type."""
    found = {}
    for line in fields.FIELDS.split("\n"):
        kind, *specs = line.split() or [None]
        if kind:
            parts = [f"{spec}::".split(":")[:3] for spec in specs]
            found[int(kind)] = [(name, unit, int(places or 0)) for name, unit, places in parts]
    return found


def test_the_fields_of_every_event_are_the_contracts_with_their_units() -> None:
    assert {kind: table()[kind] for kind in CONTRACT} == {
        kind: [(name, *UNITS.get(unit, (unit, 0))) for name, unit in event.fields]
        for kind, event in CONTRACT.items()
    }


def test_every_other_record_has_its_fields() -> None:
    others = {records.SAMPLE, records.BLOCK, records.CONFIRMED, records.CHECKPOINT}
    assert table().keys() == CONTRACT.keys() | others


def test_a_sample_has_the_contracts_channels_in_their_units() -> None:
    channels = [(unit.replace("degC", "C"), places) for unit, places in event_fields.channels()]
    text, pairs = fields.row(records.SAMPLE, [60, 0, *[100] * 8])
    assert len(pairs) == 10
    for words, (_, value, pair_places), (unit, places) in zip(
        text.split(", ")[2:], pairs[2:], channels[:8], strict=True
    ):
        assert words.endswith(f" {100 / 10**places:.{places}f} {unit}")
        assert (value, pair_places) == (100, places)


@pytest.mark.parametrize("channel", range(10))
def test_an_alarm_is_in_the_unit_of_its_channel(channel: int) -> None:
    unit, places = event_fields.channels()[channel]
    text, _ = fields.row(records.ALARM_START, [0, 1, 1, channel, 3, 100, 0, 200, 0])
    assert f"threshold {100 / 10**places:.{places}f} {unit.replace('degC', 'C')}," in text


@pytest.mark.parametrize(
    ("kind", "values", "text"),
    [
        (
            records.POSITION, [55, 53550000, -9990000, 6, 1],
            "t 55 s, latitude 53.550000 deg, longitude -9.990000 deg, uncertainty 6 m, source 1",
        ),
        (
            records.ALARM_START, [3600, 1, 1, 0, 3, 800, 0, 812, 60],
            ("t 3600 s, rule id 1, kind 1, channel payload, comparison 3, threshold 8.00 C, "
             "duration 0 s, value 8.12 C, seconds beyond 60 s"),
        ),
        (
            records.ALARM_END, [3700, 1, 1, -16777215, 812, 60],
            ("t 3700 s, rule id 1, cause 1, minimum below its range, "
             "maximum 812 in the channel's unit, beyond 60 s"),
        ),
        (
            records.CALIBRATION, [0, 0, "PT-1", "C-9", 1, 2, [[0, -12], [10000, 5]]],
            ("t 0 s, of channel payload, instrument PT-1, certificate C-9, date 1 s, due 2 s, "
             "points 0.00: -0.12, 100.00: 0.05 C"),
        ),
        (records.CONFIGURATION, [0, "x", b"\x01\xff"], "t 0 s, profile name x, digest 01ff"),
        (records.COMMAND_OUTCOME, [5, 9, 1, 1], "t 5 s, counter 9, of action 1, outcome 1"),
        (records.BLOCK, [1, 20, 3, 400], "number 1, last record 20, flags 3, size 400 bytes"),
    ],
    ids=lambda value: str(value) if isinstance(value, int) else "",
)  # fmt: skip
def test_a_record_in_words(kind: int, values: list[object], text: str) -> None:
    assert fields.row(kind, values)[0] == text


def test_an_absent_reading_has_no_unit() -> None:
    text, pairs = fields.row(records.SAMPLE, [60, 3, None, *[1] * 7])
    assert "payload -, ambient 0.01 C" in text
    assert ("payload_c", None, 2) in pairs
