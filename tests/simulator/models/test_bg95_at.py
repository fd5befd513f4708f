"""The AT interface: lines, echo, errors, rates; and that nothing a host writes upsets it."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from coldtrail_simulator.models.bg95.general import Sim
from coldtrail_simulator.models.bg95.radio import Cell
from tests.simulator.modem_rig import Places, Rig

NOWHERE = Places((0.0, None))


@given(st.lists(st.binary(max_size=60), max_size=8))
@example([b"AT"])
@settings(max_examples=300, deadline=None)
def test_whatever_comes_a_new_line_is_understood(pieces: list[bytes]) -> None:
    rig = Rig(world=NOWHERE).on()
    for piece in pieces:
        rig.modem.receive(piece)
    # A hang-up, a mode or a rate that the noise has asked for is not what this is about.
    rig.wait(300)
    if rig.modem.power.value == "on" and rig.modem.general.baud == rig.baud:
        rig.modem.receive(b"\x1b\r")
        rig.wait(300)
        rig.sent.clear()
        assert rig.at("AT+CSQ")[-2:] == ["+CSQ: 99,99", "OK"]


COMMANDS = (
    "AT,ATI,AT+CPIN?,AT+CEREG?,AT+CSQ;+QCSQ;+BOGUS,ATE1,ATE0,AT+CMEE=1,AT+CPIN=1,AT+QIRD=0"
).split(",")


@given(
    st.lists(st.sampled_from(COMMANDS), min_size=1, max_size=5),
    st.lists(st.integers(1, 7), min_size=1, max_size=20),
)
@settings(deadline=None)
def test_the_answer_does_not_depend_on_how_the_line_arrives(
    commands: list[str], sizes: list[int]
) -> None:
    outputs = []
    for cut in ([10_000], sizes):
        rig = Rig(world=NOWHERE).on()
        data = "".join(f"{command}\r\n" for command in commands).encode()
        at, size = 0, itertools.cycle(cut)
        while at < len(data):
            step = next(size)
            rig.modem.receive(data[at : at + step])
            at += step
        rig.wait(30)
        outputs.append(rig.output)
    assert outputs[0] == outputs[1]


def test_echo_comes_byte_for_byte_and_goes() -> None:
    rig = Rig()
    rig.pulse(0.7)
    rig.wait(8)
    rig.sent.clear()
    for byte in b"ATI\r":
        rig.modem.receive(bytes([byte]))
    assert [data for _, data in rig.sent] == [b"A", b"T", b"I", b"\r"]
    rig.until("OK")
    assert rig.at("ATE0") == ["ATE0\r", "OK"]
    assert rig.at("AT") == ["OK"]


def test_lower_case_and_line_feeds_are_the_same() -> None:
    rig = Rig().on()
    rig.modem.receive(b"\r\n\nat+cpin?\r\n")
    assert rig.until("OK") == ["+CPIN: READY", "OK"]


@pytest.mark.parametrize(
    "command",
    [
        "AT+NOSUCH",
        "AT+CMEE=3",
        "AT+CMEE=x",
        'AT+CMEE="1"',
        "AT+QIOPEN=1,0,TCP,host,1,0,0",
        'AT+QCFG="nosuch"',
        "AT+QICLOSE=12",
        "AT+QIRD=0,1501",
        'AT+CCLK="not a time"',
        "ATV0",
        "AT?",
        "AT+",
        'AT+QICSGP=1,1,"open',
        "AT+QMTOPEN=0",
    ],
)
def test_what_it_does_not_know_is_an_error(command: str) -> None:
    assert Rig().on().at(command) == ["ERROR"]


@pytest.mark.parametrize(
    ("mode", "text"),
    [(0, "ERROR"), (1, "+CME ERROR: 16"), (2, "+CME ERROR: Incorrect password")],
)
def test_a_wrong_pin_is_reported_as_asked(mode: int, text: str) -> None:
    rig = Rig(sim=Sim(pin="1234")).on()
    rig.at(f"AT+CMEE={mode}")
    assert rig.at("AT+CPIN=4321") == [text]


def test_three_wrong_pins_ask_for_the_puk() -> None:
    rig = Rig(sim=Sim(pin="1234", puk="12345678")).on()
    for _ in range(3):
        assert rig.at("AT+CPIN=4321") == ["ERROR"]
    assert rig.at("AT+CPIN?") == ["+CPIN: SIM PUK", "OK"]
    assert rig.at("AT+CPIN=1234") == ["ERROR"]
    assert rig.at('AT+CPIN="12345678","1111"') == ["OK"]
    assert rig.until("+QIND")[0] == "+CPIN: READY"


def test_without_a_card_there_is_no_registration() -> None:
    rig = Rig(sim=Sim(present=False)).on()
    rig.at("AT+CMEE=2")
    assert rig.at("AT+CPIN?") == ["+CME ERROR: SIM not inserted"]
    rig.wait(60)
    assert rig.at("AT+CEREG?") == ["+CEREG: 0,0", "OK"]


def test_a_second_command_waits_for_the_first() -> None:
    rig = Rig().on().registered()
    rig.modem.receive(b"AT+CFUN=0\rAT+CFUN?\r")
    assert rig.until("+CFUN") == ["OK", "+CFUN: 0", "OK"]


def test_an_error_ends_the_line() -> None:
    rig = Rig().on()
    assert rig.at("AT+CMEE=1;+NOSUCH;+CMEE=2") == ["ERROR"]
    assert rig.at("AT+CMEE?") == ["+CMEE: 1", "OK"]


def test_a_line_too_long_is_refused_and_forgotten() -> None:
    rig = Rig().on()
    assert rig.at("AT+QCFG=" + "9" * 5000) == ["ERROR"]
    assert rig.at("AT") == ["OK"]


def test_the_rate_changes_after_the_answer_and_is_kept_only_when_stored() -> None:
    rig = Rig().on()
    assert rig.at("AT+IPR=9600") == ["OK"]
    rig.modem.receive(b"AT\r")
    rig.wait(1)
    assert rig.output == b""  # noise to a module that listens at another rate
    rig.baud = 9600
    assert rig.at("AT+IPR?") == ["+IPR: 9600", "OK"]
    assert rig.at("AT+CFUN=1,1") == ["OK"]
    rig.wait(10)
    assert rig.output
    assert b"RDY" not in rig.output  # it is back at 115200
    rig.baud = 115200
    rig.sent.clear()
    rig.at("AT+IPR=9600;&W", "OK")
    rig.baud = 9600
    rig.at("AT+CFUN=1,1", "OK")
    rig.until("APP RDY")


def test_settings_are_kept_and_given_back() -> None:
    rig = Rig().on()
    assert rig.at('AT+QCFG="nwscanmode",3,1') == ["OK"]
    assert rig.at('AT+QCFG="iotopmode",2,1') == ["OK"]
    rig.at("AT+CFUN=1,1")
    rig.until("APP RDY")
    rig.wait(5)
    rig.at("ATE0")
    assert rig.at('AT+QCFG="nwscanmode"')[0] == '+QCFG: "nwscanmode",3'
    assert rig.at('AT+QCFG="iotopmode"')[0] == '+QCFG: "iotopmode",2'


def test_every_exchange_is_numbered_in_the_journal() -> None:
    rig = Rig(world=Places((0.0, Cell())))
    rig.on()
    rig.at("AT+CSQ")
    notes = list(rig.journal.of("at"))
    assert [note["exchange"] for note in notes] == list(range(1, len(notes) + 1))
    assert notes[-1]["command"] == "AT+CSQ"
