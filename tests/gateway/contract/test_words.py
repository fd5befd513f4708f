"""The gateway's words against the contract's text: every number has a word, and the right one."""

from __future__ import annotations

import re

import pytest

from coldtrail_gateway.contract import words
from coldtrail_gateway.contract.command import NAMES
from coldtrail_gateway.contract.events import Channel, EventType, Subject
from coldtrail_gateway.contract.fields import EVENTS, READING, Int
from tests.support.blocks import cddl

FILLERS = {"a", "are", "is", "its", "of", "the", "to", "by"}
# Where the contract lists what a field's numbers mean: the words before the list and after it.
LISTS = {
    (EventType.POSITION, "source"): ("1e-6 degree m ", " 1 power-on"),
    (EventType.BOOT, "cause"): ("serving cell ", " seconds of the chip"),
    (EventType.CLOCK_SYNC, "source"): ("ms, at that moment ", " since boot (31"),
    (EventType.ALARM_START, "kind"): ("in this breach ", " 0..7 as in samples"),
    (EventType.ALARM_END, "cause"): ("time to breach 1", " s beyond the"),
    (EventType.LOG_GAP, "cause"): ("blocks sealed since ", " 1 button"),
    (EventType.SHIPMENT_STOP, "cause"): ("not accepted (log full) ", " radio and GNSS"),
    (EventType.FLIGHT_MODE, "cause"): ("0 ends ", " subject 0..4"),
    (EventType.CELL, "technology"): ("LAC or TAC ", " dBm"),
    (EventType.COMMAND_OUTCOME, "outcome"): ("of the command ", " for people"),
}


def stems(text: str) -> set[str]:
    """Return the words of a phrase, without what carries no meaning and without their endings."""
    found = re.findall(r"[a-z0-9']+", text.lower())
    return {word[:5] for word in found if word not in FILLERS}


def listed(start: str, end: str) -> dict[int, str]:
    """Return a list of the contract's remarks by its numbers."""
    number = re.search(r"(\d)$", start)
    first = number[1] + " " if number else ""
    remarks = " ".join(re.findall(r";\s*(.*)", cddl.CDDL.read_text()))
    found = re.search(rf"{re.escape(start)}(.*?){re.escape(end)}", remarks)
    assert found, start
    return {int(key): text for key, text in re.findall(r"(\d+) ([^,]+)", first + found[1])}


@pytest.mark.parametrize(("field", "place"), LISTS.items(), ids=lambda x: str(x)[:40])
def test_the_words_of_a_field(field: tuple[EventType, str], place: tuple[str, str]) -> None:
    contract = listed(*place)
    own = words.WORDS[field]
    assert own.keys() == contract.keys()
    for number, word in own.items():
        assert stems(word) <= stems(contract[number]), (number, word, contract[number])


def test_every_number_of_a_field_with_words_has_one() -> None:
    for (kind, name), own in words.WORDS.items():
        limits = EVENTS[kind][name]
        assert isinstance(limits, Int)
        if (kind, name) == (EventType.FAULT, "subject") or limits == READING:
            continue  # most of its numbers are free
        assert own.keys() == set(range(limits.low, limits.high + 1)), (kind, name)


def test_switches_begin_and_end() -> None:
    assert cddl.remark("sampling and alarms go on ", " 1 planned leg") == "1 begins, 0 ends"
    for kind in (EventType.FLIGHT_MODE, EventType.FAULT, EventType.SERVICE):
        assert words.WORDS[kind, "on"] == {0: "end", 1: "start"}


def test_comparisons_and_what_is_judged() -> None:
    (said,) = re.findall(r"^comparison = .*; (.*)$", cddl.CDDL.read_text(), re.MULTILINE)
    pairs = re.findall(r"(\d) ([<>]=?)", said)
    assert {int(number): sign for number, sign in pairs} == words.COMPARISON
    names = [name.rsplit("_", 1)[0] for name, _, _ in words.JUDGED]
    assert [name.replace("acc_", "acceleration_") for name in names] == [
        channel.label for channel in Channel
    ]
    assert words.WORDS[EventType.COMMAND_OUTCOME, "action"] == NAMES


def test_units_of_channels() -> None:
    text = cddl.CDDL.read_text()
    for channel, (_, unit, _) in enumerate(words.CHANNELS):
        (said,) = re.findall(rf"; channel {channel}: ([^,\n]+)", text)
        assert said == unit
    assert [unit for _, unit, _ in words.JUDGED[8:]] == ["mg", "ms"]


def test_status_codes() -> None:
    text = cddl.CDDL.read_text()
    listed_codes = text.partition("why there is no reading:\n")[2].partition("; Flag at bit 20")[0]
    found = re.findall(r"(\d+) ([A-Za-z ]+?)(?=   |:|\n)", listed_codes)
    contract = {int(number): text for number, text in found}
    assert contract == words.READING


def test_faults_that_mean_something_else_than_of_a_sensor() -> None:
    for subject, (start, end), prefix in (
        (Subject.LOG, ("of the log ", "; of the clock"), ""),
        (Subject.CLOCK, ("of the clock ", "; of the downlink"), ""),
        (Subject.DOWNLINK, ("of the downlink ", "; of the modem"), ""),
        (Subject.MODEM, ("of the modem ", ", and of TLS"), ""),
        (Subject.MODEM, ("and of TLS ", ", the broker's certificate is"), ""),
        (Subject.MODEM, ("the broker's certificate is ", " peak of"), "broker's certificate "),
    ):
        contract = listed(start, end)
        assert contract, start
        for code, text in contract.items():
            word = words.fault(subject, code)
            assert stems(word) <= stems(prefix + text), (subject, code, word, text)
