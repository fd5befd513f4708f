"""Sensirion SHT45: temperature and humidity over I2C (datasheet SHT4x, version 6.5)."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import ClassVar

from coldtrail_simulator.clock import US_PER_MS, US_PER_S, Clock
from coldtrail_simulator.energy import OFF, Load
from coldtrail_simulator.journal import Journal
from coldtrail_simulator.models import currents
from coldtrail_simulator.wires import Nak

# For each command (table 8) the typical and the longest duration in us (table 5), and the
# repeatability as one standard deviation: degC (table 2) and %RH (table 1).
_MEASURE = {
    0xFD: (6_900, 8_300, 0.04 / 3, 0.08 / 3),
    0xF6: (3_700, 4_500, 0.07 / 3, 0.15 / 3),
    0xE0: (1_300, 1_600, 0.10 / 3, 0.25 / 3),
}
"""The datasheet states three standard deviations."""
_SERIAL = 0x89
_RESET = 0x94
_RESET_US = 1 * US_PER_MS
_POWER_UP_US = 1 * US_PER_MS


def crc8(data: bytes) -> int:
    """Return the checksum of section 4.4: polynomial 0x31, start 0xFF."""
    crc = 0xFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc << 1 ^ (0x131 if crc & 0x80 else 0)
    return crc


class SHT45:
    """One sensor.

    Args:
        ambient_c: the temperature of the air in degC at a time in seconds.
        humidity: its relative humidity in percent.
    """

    FAULTS: ClassVar = {
        "no_answer": ("silent", True, False),
        "wrong_crc": ("wrong_crc", True, False),
        "slow": ("slow", True, False),
        "below": ("stuck", (0, 0x7FFF), None),
        "stuck_bus": ("holds_bus", True, False),
        "stuck_value": ("stuck", (0x6666, 0x8000), None),
    }

    def __init__(
        self,
        clock: Clock,
        rng: random.Random,
        journal: Journal,
        *,
        name: str = "ambient",
        address: int = 0x44,
        ambient_c: Callable[[float], float],
        humidity: Callable[[float], float],
    ) -> None:
        self._clock = clock
        self._rng = rng
        self._journal = journal
        self.name = name
        self.address = address
        self._ambient_c = ambient_c
        self._humidity = humidity
        self.serial = rng.getrandbits(32)
        # Accuracy of this specimen (tables 1 and 2): typical 1.0 %RH and 0.1 degC.
        self._offset_c = max(-0.1, min(0.1, rng.gauss(0, 0.05)))
        self._offset_rh = max(-1.0, min(1.0, rng.gauss(0, 0.5)))
        self.load = Load(clock, currents.SHT45, "idle")
        self.powered = True
        self._ready_us = 0
        self._answer = b""
        self._pending: Callable[[], bytes] | None = None
        self.silent = False
        """Fault: the part does not acknowledge."""
        self.slow = False
        """Fault: a measurement takes ten times its maximum time."""
        self.wrong_crc = False
        """Fault: every checksum is wrong."""
        self.stuck: tuple[int, int] | None = None
        """Fault: the part always sends these ticks of temperature and humidity."""
        self.holds_bus = False
        """Fault: the part holds SDA low, which blocks the bus for all parts."""

    def power_on(self) -> None:
        """Supply the part."""
        self.powered = True
        self.load.become("idle")
        self._busy_for(_POWER_UP_US)

    def power_off(self) -> None:
        """Remove the supply."""
        self.powered = False
        self.load.become(OFF)
        self._forget()

    def _forget(self) -> None:
        self._answer = b""
        self._pending = None

    def _busy_for(self, us: int) -> None:
        self._ready_us = self._clock.now_us + us

    def write(self, data: bytes) -> None:
        """Accept a command; NAK during a measurement (section 4.1)."""
        if not self.powered or self.silent or self._clock.now_us < self._ready_us:
            raise Nak
        if not data:
            return
        self._forget()
        command = data[0]
        if command in _MEASURE:
            typical, longest, noise_c, noise_rh = _MEASURE[command]
            us = self._rng.randint(typical, longest) * (10 if self.slow else 1)
            self._busy_for(us)
            self.load.spend("measuring", us)
            self._pending = lambda: self._measure(noise_c, noise_rh)
        elif command == _SERIAL:
            self._answer = self._words(self.serial >> 16, self.serial & 0xFFFF)
        elif command == _RESET:
            self._busy_for(_RESET_US)
        else:
            raise Nak

    def read(self, n: int) -> bytes:
        """Send the result; NAK when there is none yet (section 4.1)."""
        if not self.powered or self.silent or self._clock.now_us < self._ready_us:
            raise Nak
        if self._pending:
            self._answer, self._pending = self._pending(), None
        if not self._answer:
            raise Nak
        answer, self._answer = self._answer, b""
        return answer[:n].ljust(n, b"\xff")

    def _measure(self, noise_c: float, noise_rh: float) -> bytes:
        """Measure at the end of the conversion and note the values that the firmware receives."""
        t_s = self._ready_us / US_PER_S
        true_c, true_rh = self._ambient_c(t_s), self._humidity(t_s)
        celsius = true_c + self._offset_c + self._rng.gauss(0, noise_c)
        percent = true_rh + self._offset_rh + self._rng.gauss(0, noise_rh)
        # The inverse of the formulas in section 4.6.
        ticks = round((celsius + 45) / 175 * 65535), round((percent + 6) / 125 * 65535)
        t_ticks, rh_ticks = (max(0, min(65535, value)) for value in self.stuck or ticks)
        if not self.wrong_crc:
            self._journal.note(
                "measure",
                sensor=self.name,
                celsius=-45 + 175 * t_ticks / 65535,
                percent=max(0.0, min(100.0, -6 + 125 * rh_ticks / 65535)),
                true_celsius=true_c,
                true_percent=true_rh,
            )
        return self._words(t_ticks, rh_ticks)

    def _words(self, *words: int) -> bytes:
        flip = 0x01 if self.wrong_crc else 0x00
        parts = (word.to_bytes(2, "big") for word in words)
        return b"".join(part + bytes((crc8(part) ^ flip,)) for part in parts)
