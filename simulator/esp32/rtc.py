"""The RTC domain: the part of the chip that keeps its power in deep sleep.

Sources: ESP32 technical reference manual (RTC, sleep modes); the ESP32 port of MicroPython
(machine_rtc.c, modesp32.c).
"""
# ruff: noqa: ARG002 -- every request handler has the one signature the dispatch table calls.

from __future__ import annotations

from collections.abc import Mapping

from coldtrail_simulator.clock import US_PER_S, Clock
from coldtrail_simulator.esp32.pads import RTC_PINS, WakePins
from coldtrail_simulator.esp32.peripherals import Answer
from coldtrail_simulator.esp32.timers import RealTimeCounter
from coldtrail_simulator.wires import Net

MEMORY_SIZE = 2048


class RtcDomain:
    """Counter, memory, wake sources, and the reason of the last boot.

    The ``do_...`` methods answer the requests of ``protocol.Op``.

    Args:
        ppb: error of the counter, in parts per 1e9.
    """

    def __init__(self, clock: Clock, ppb: int, nets: Mapping[int, Net]) -> None:
        self.counter = RealTimeCounter(clock, ppb)
        self.wakes = WakePins(nets)
        self.memory = b""
        self.holds_pins = False
        """Whether pins outside the domain are held in deep sleep too (gpio_deep_sleep_hold)."""
        self._cause = self._wake = 0
        self._wake_pins = b""

    def power_off(self) -> None:
        """Lose everything that the domain keeps."""
        self.memory = b""
        self.holds_pins = False

    def note_boot(self, cause: int, wake: int, pins: bytes) -> None:
        """Keep the reset cause, the wake reason (0: none) and the pins that woke the chip."""
        self._cause, self._wake, self._wake_pins = cause, wake, pins

    # --- requests

    def do_time(self, unit: int, argument: int, data: bytes) -> Answer:
        return self.counter.us // US_PER_S

    def do_time_ns(self, unit: int, argument: int, data: bytes) -> Answer:
        return (self.counter.us * 1000).to_bytes(8, "little")

    def do_rtc_read(self, unit: int, argument: int, data: bytes) -> Answer:
        return self.memory

    def do_rtc_write(self, unit: int, argument: int, data: bytes) -> Answer:
        if len(data) > MEMORY_SIZE:
            return 1
        self.memory = data
        return 0

    def do_reset_cause(self, unit: int, argument: int, data: bytes) -> Answer:
        return self._cause

    def do_wake_reason(self, unit: int, argument: int, data: bytes) -> Answer:
        return self._wake

    def do_wake_pins(self, unit: int, argument: int, data: bytes) -> Answer:
        return self._wake_pins

    def do_ext0(self, unit: int, argument: int, data: bytes) -> Answer:
        if unit != 255 and unit not in RTC_PINS:
            return 1
        self.wakes.ext0 = None if unit == 255 else (unit, argument)
        return 0

    def do_ext1(self, unit: int, argument: int, data: bytes) -> Answer:
        pins = frozenset(data) if unit else self.wakes.ext1[0]
        if not pins <= RTC_PINS:
            return 1
        self.wakes.ext1 = (pins, argument)
        return 0

    def do_hold(self, unit: int, argument: int, data: bytes) -> Answer:
        self.holds_pins = bool(argument)
        return 0
