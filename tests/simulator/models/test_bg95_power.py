"""PWRKEY, RESET_N, STATUS and the supply, as the hardware designs time them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coldtrail_simulator.clock import US_PER_MS
from coldtrail_simulator.models.bg95.modem import Power
from coldtrail_simulator.models.bg95.part import BG95_M3, BG96, Part
from tests.simulator.modem_rig import Rig

PARTS = [BG95_M3, BG96]


@given(st.integers(1, 1_900))
def test_only_a_pulse_of_half_a_second_turns_it_on(ms: int) -> None:
    rig = Rig()
    rig.pulse(ms / 1000)
    rig.wait(10)
    assert (rig.modem.power is Power.ON) == (ms >= 500)
    assert rig.status.level == int(ms >= 500)


@given(st.integers(1, 1_900))
def test_only_a_pulse_of_650_ms_turns_it_off(ms: int) -> None:
    rig = Rig().on()
    rig.pulse(ms / 1000)
    rig.wait(10)
    assert (rig.modem.power is Power.OFF) == (ms >= 650)
    assert ("POWERED DOWN" in rig.lines()) == (ms >= 650)
    assert rig.status.level == int(ms < 650)


@pytest.mark.parametrize(
    ("part", "status_ms", "uart_ms"), [(BG95_M3, 2_100, 2_500), (BG96, 4_800, 4_900)]
)
def test_status_and_uart_come_when_the_hardware_design_says(
    part: Part, status_ms: int, uart_ms: int
) -> None:
    rig = Rig(part=part)
    began_us = rig.clock.now_us
    rig.pulse(0.7)
    rig.wait(10)
    assert rig.status.edges[-1] == (began_us + status_ms * US_PER_MS, 1)
    assert rig.sent[0] == (began_us + uart_ms * US_PER_MS, b"\r\nRDY\r\n")
    assert rig.lines()[:2] == ["RDY", "APP RDY"]


@pytest.mark.parametrize("part", PARTS)
def test_it_is_deaf_until_its_uart_is_up(part: Part) -> None:
    rig = Rig(part=part)
    rig.pulse(0.7)
    rig.modem.receive(b"AT\r")
    rig.wait(1)
    assert rig.output == b""


@pytest.mark.parametrize("part", PARTS)
def test_power_down_takes_its_time_and_then_status_falls(part: Part) -> None:
    rig = Rig(part=part).on()
    rig.modem.receive(b"AT+QPOWD=1\r")
    rig.until("OK")
    began_us = rig.clock.now_us
    rig.modem.receive(b"AT\r")
    assert rig.until("POWERED DOWN", limit_s=65) == ["POWERED DOWN"]
    assert rig.clock.now_us - began_us >= part.power_down_us
    assert rig.status.level == 0
    rig.modem.receive(b"AT\r")
    rig.wait(5)
    assert rig.output == b""


def test_immediate_power_down_is_quick() -> None:
    rig = Rig().on()
    rig.modem.receive(b"AT+QPOWD=0\r")
    rig.until("POWERED DOWN", limit_s=1)


def test_a_supply_that_has_just_come_makes_the_key_wait() -> None:
    rig = Rig()
    rig.modem.supply(0)
    rig.modem.supply(1)
    rig.pulse(0.510)  # 480 ms of it after the supply is stable
    rig.wait(10)
    assert rig.modem.power is Power.OFF


def test_the_key_does_nothing_without_supply() -> None:
    rig = Rig()
    rig.modem.supply(0)
    rig.pulse(0.7)
    rig.wait(10)
    assert rig.modem.power is Power.UNPOWERED
    assert rig.output == b""


def test_losing_the_supply_ends_everything_in_mid_word() -> None:
    rig = Rig().on()
    rig.at("AT+CMEE=2")
    rig.modem.receive(b"AT+CFUN=0\r")
    rig.modem.supply(0)
    rig.wait(30)
    assert rig.output == b""
    assert rig.status.level == 0
    rig.modem.supply(1)
    rig.wait(0.1)
    rig.pulse(0.7)
    rig.wait(5)
    rig.sent.clear()
    # Nothing of what was set is left: echo on, errors without a code.
    assert rig.at("AT+CPIN=1") == ["AT+CPIN=1\r", "ERROR"]


@pytest.mark.parametrize(("part", "seconds"), [(BG95_M3, 2.5), (BG96, 0.3)])
def test_reset_pin_restarts_it(part: Part, seconds: float) -> None:
    rig = Rig(part=part).on()
    rig.modem.reset_n(0)
    rig.wait(seconds)
    assert rig.status.level == 0
    rig.modem.reset_n(None)
    assert rig.until("APP RDY", limit_s=8) == ["RDY", "APP RDY"]
    assert rig.modem.power is Power.ON


@pytest.mark.parametrize(("part", "seconds"), [(BG95_M3, 1.9), (BG96, 0.14)])
def test_a_short_reset_pulse_does_nothing(part: Part, seconds: float) -> None:
    rig = Rig(part=part).on()
    rig.modem.reset_n(0)
    rig.wait(seconds)
    rig.modem.reset_n(1)
    rig.wait(10)
    assert rig.at("AT") == ["OK"]


def test_the_key_held_resets_the_bg95_and_keeps_it_down_until_released() -> None:
    rig = Rig().on()
    rig.modem.pwrkey(0)
    rig.wait(30)
    assert rig.modem.power is Power.OFF
    rig.modem.pwrkey(1)
    rig.until("APP RDY", limit_s=8)


def test_functionality_with_reset_restarts_it() -> None:
    rig = Rig().on()
    assert rig.at("AT+CFUN=1,1") == ["OK"]
    assert rig.until("APP RDY", limit_s=8) == ["RDY", "APP RDY"]
