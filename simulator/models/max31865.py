"""Maxim MAX31865 with a PT1000 at its terminals (datasheet 19-6478, revision 3).

The converter measures the ratio of the element to the reference resistor. IEC 60751 relates the
element's resistance to its temperature. Figures are from the electrical characteristics in the
datasheet.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from enum import Enum
from typing import ClassVar

from coldtrail_simulator.clock import US_PER_MS, US_PER_S, Clock
from coldtrail_simulator.energy import OFF, Load
from coldtrail_simulator.journal import Journal
from coldtrail_simulator.models import currents

CONFIGURATION, RTD_MSB, RTD_LSB, HIGH_MSB, HIGH_LSB, LOW_MSB, LOW_LSB, STATUS = range(8)

VBIAS = 0x80
AUTOMATIC = 0x40
ONE_SHOT = 0x20
THREE_WIRE = 0x10
FAULT_CYCLE = 0x0C
FAULT_CYCLE_AUTOMATIC, FAULT_CYCLE_MANUAL_1, FAULT_CYCLE_MANUAL_2 = 0x04, 0x08, 0x0C
FAULT_CLEAR = 0x02
FILTER_50HZ = 0x01
KEPT = VBIAS | AUTOMATIC | THREE_WIRE | FILTER_50HZ

RTD_HIGH = 0x80
RTD_LOW = 0x40
REFIN_HIGH = 0x20
REFIN_LOW = 0x10
RTDIN_LOW = 0x08
VOLTAGE = 0x04

FULL_SCALE = 32767
SINGLE_US = {False: (52_000, 55_000), True: (62_500, 66_000)}  # 60 Hz, 50 Hz notch
CONTINUOUS_US = {False: (16_700, 17_600), True: (20_000, 21_000)}
FAULT_CYCLE_US = 600
BIAS_START_US = 10 * US_PER_MS
BIAS_START_CONSTANTS = 10.5  # time constants of the input filter until it settles to 15 bits
FILTER_US = 430  # one time constant: 4.3 kilo-ohm and 100 nF
LEADS_CONSTANTS = 5  # time constants before each test of the leads (page 14)
BIAS_V = 2.0
NOISE_V = 150e-6

A, B, C = 3.9083e-3, -5.775e-7, -4.183e-12  # IEC 60751:2008, 5.2
LOWEST_C, HIGHEST_C = -200.0, 850.0


class Fault(Enum):
    """Faults at the terminals."""

    OPEN = "open"
    SHORT = "short"
    VOLTAGE = "voltage"
    FORCE_PLUS_OPEN = "FORCE+ unconnected"
    FORCE_PLUS_LOW = "FORCE+ shorted low"
    RTDIN_PLUS_LOW = "RTDIN+ shorted low"
    RTDIN_MINUS_LOW = "RTDIN- shorted low"
    RTDIN_MINUS_HIGH = "RTDIN- shorted high"


class Data(Enum):
    """The result of conversions with such a fault."""

    FULL_SCALE = "full scale"
    NEAR_ZERO = "near zero"
    INDETERMINATE = "indeterminate"
    VALID = "appear to be valid"


LEADS = {
    Fault.OPEN: (REFIN_HIGH, 0, Data.FULL_SCALE),
    Fault.SHORT: (0, 0, Data.NEAR_ZERO),
    Fault.VOLTAGE: (0, 0, Data.VALID),
    Fault.FORCE_PLUS_OPEN: (REFIN_HIGH, 0, Data.INDETERMINATE),
    Fault.FORCE_PLUS_LOW: (0, RTDIN_LOW, Data.NEAR_ZERO),
    Fault.RTDIN_PLUS_LOW: (0, RTDIN_LOW, Data.NEAR_ZERO),
    Fault.RTDIN_MINUS_LOW: (0, REFIN_LOW | RTDIN_LOW, Data.VALID),
    Fault.RTDIN_MINUS_HIGH: (REFIN_HIGH, 0, Data.INDETERMINATE),
}
"""For each fault the bits set while FORCE- is closed, the bits set while it is open, and the data.

Three wires, as in table 11, "Decoding RTD Faults for 3-Wire Setups".
"""
PLAUSIBLE_CODES = 7000, 8500
"""Range of codes for indeterminate data: they look like a measurement, which is the worst case."""


def resistance(celsius: float, r0: float = 1000.0) -> float:
    """Return the resistance of a platinum element in ohm (Callendar-Van Dusen equation)."""
    ratio = 1 + A * celsius + B * celsius**2
    if celsius < 0:
        ratio += C * (celsius - 100) * celsius**3
    return r0 * ratio


def temperature(ohm: float, r0: float = 1000.0) -> float:
    """Return the temperature in degC of an element with this resistance, by bisection."""
    low, high = LOWEST_C - 50, HIGHEST_C
    while high - low > 1e-7:
        middle = (low + high) / 2
        if resistance(middle, r0) < ohm:
            low = middle
        else:
            high = middle
    return (low + high) / 2


class MAX31865:
    """One converter and its element.

    Args:
        rref: the reference resistor in ohm.
        wires: 2, 3 or 4 wires to the element; with 3 the firmware must set the 3-wire bit, or the
            measurement includes the resistance of one wire.
        celsius: the temperature of the element at a time in seconds.
    """

    FAULTS: ClassVar = {
        "open": ("fault", Fault.OPEN, None),
        "short": ("fault", Fault.SHORT, None),
        "reference": ("fault", Fault.VOLTAGE, None),
        "force_plus_open": ("fault", Fault.FORCE_PLUS_OPEN, None),
        "force_plus_low": ("fault", Fault.FORCE_PLUS_LOW, None),
        "rtdin_plus_low": ("fault", Fault.RTDIN_PLUS_LOW, None),
        "rtdin_minus_low": ("fault", Fault.RTDIN_MINUS_LOW, None),
        "rtdin_minus_high": ("fault", Fault.RTDIN_MINUS_HIGH, None),
        "no_answer": ("silent", True, False),
        "slow": ("slow", True, False),
        "stuck_value": ("stuck", 0x2000, None),
    }

    modes = (1, 3)
    max_hz = 5_000_000

    def __init__(
        self,
        clock: Clock,
        rng: random.Random,
        journal: Journal,
        *,
        name: str = "probe",
        rref: float = 4300.0,
        wires: int = 3,
        celsius: Callable[[float], float],
    ) -> None:
        self._clock = clock
        self._rng = rng
        self._journal = journal
        self.name = name
        self._rref = rref
        self._wires = wires
        self._celsius = celsius
        # This specimen: an element of class A (0.15 degC at 0 degC), the offset of the converter
        # (3 counts at most) and 0.5 ohm for each wire of the cable.
        self._r0 = 1000 * (1 + A * max(-0.15, min(0.15, rng.gauss(0, 0.05))))
        self._offset = max(-3.0, min(3.0, rng.gauss(0, 1)))
        self._wire_ohm = 0.5
        self.fault: Fault | None = None
        """Fault at the terminals."""
        self.silent = False
        """Fault: the part does not drive the data line and ignores all input."""
        self.slow = False
        """Fault: a conversion takes ten times its maximum time."""
        self.stuck: int | None = None
        """Fault: every conversion gives this 15-bit code."""
        self.wild: list[float] = []
        """Fault: the next conversions read these degC instead of the true temperature."""
        self._epoch = 0
        self.load = Load(clock, currents.MAX31865)
        self.power_off()
        self.power_on()

    # --- power

    def power_on(self) -> None:
        """Supply the part."""
        self.powered = True
        self._draw()

    def supply(self, level: int | None) -> None:
        """Switch the supply of the part with the pin that supplies it."""
        if level:
            self.power_on()
        else:
            self.power_off()

    def power_off(self) -> None:
        """Remove the supply: the registers return to their power-on values."""
        self.powered = False
        self.load.become(OFF)
        self._epoch += 1
        self._registers = bytearray((0, 0, 0, 0xFF, 0xFF, 0, 0, 0))
        self._address: int | None = None
        self._trigger = 0
        self._bias_us: int | None = None
        self._opened_us: int | None = None  # when FORCE- was opened in a test of the leads
        self._closed_us: int | None = None  # when FORCE- was closed again
        self._converting = False
        self._fresh: float | None = None

    def _draw(self) -> None:
        biased = self._registers[CONFIGURATION] & VBIAS
        self.load.become("bias on" if biased else "bias off")

    # --- serial interface

    def select(self) -> None:
        """Start a transaction; its first byte is an address (page 16)."""
        self._address = None

    def transfer(self, out: bytes) -> bytes:
        """Read or write registers; the address is incremented after each byte."""
        if not self.powered or self.silent:
            return b"\xff" * len(out)
        answer = bytearray()
        for byte in out:
            if self._address is None:
                self._address = byte
                answer.append(0)
                continue
            register = self._address & 0x7F
            if self._address & 0x80:
                self._write(register, byte)
                answer.append(0)
            else:
                answer.append(self._read(register))
            self._address = self._address & 0x80 | register + 1 & 0x7F
        return bytes(answer)

    def deselect(self) -> None:
        """End the transaction; the requested action starts now (page 13)."""
        trigger, self._trigger = self._trigger, 0
        if trigger & ONE_SHOT and not self._registers[CONFIGURATION] & AUTOMATIC:
            self._convert(SINGLE_US)
        elif trigger & (VBIAS | AUTOMATIC | ONE_SHOT | FAULT_CLEAR) == VBIAS:
            match trigger & FAULT_CYCLE:
                case 0x04:
                    self._later(FAULT_CYCLE_US, self._end_fault_cycle)
                case 0x08:
                    self._test_leads_closed()
                case 0x0C:
                    self._test_leads_open()

    def _read(self, register: int) -> int:
        if register > STATUS:
            return 0
        self._watch_voltage()
        value = self._registers[register]
        if register == RTD_LSB:
            value |= 1 if self._registers[STATUS] else 0
            self._note()
        return value

    def _write(self, register: int, value: int) -> None:
        if HIGH_MSB <= register <= LOW_LSB:
            self._registers[register] = value
        elif register == CONFIGURATION:
            was = self._registers[CONFIGURATION]
            if value & VBIAS and not was & VBIAS:
                self._bias_us = self._clock.now_us
            elif not value & VBIAS:
                self._bias_us = None
            if value & FAULT_CLEAR and not value & (ONE_SHOT | FAULT_CYCLE):
                self._registers[STATUS] = 0
            self._registers[CONFIGURATION] = value & (KEPT | FAULT_CYCLE)
            if value & FAULT_CYCLE == FAULT_CYCLE_MANUAL_2 and self._opened_us is None:
                self._registers[CONFIGURATION] &= ~FAULT_CYCLE  # not expected now, so ignored
            self._draw()
            self._trigger = value
            if value & AUTOMATIC and not was & AUTOMATIC:
                self._convert(CONTINUOUS_US)

    # --- conversion

    def _later(self, us: int, fn: Callable[[], object]) -> None:
        epoch = self._epoch

        def call() -> None:
            if epoch == self._epoch:
                fn()

        self._clock.call_after(us, call)

    def _convert(self, durations: dict[bool, tuple[int, int]]) -> None:
        if self._converting:
            return
        self._converting = True
        span = durations[bool(self._registers[CONFIGURATION] & FILTER_50HZ)]
        settled = self._settled()
        duration = self._rng.randint(*span) * (10 if self.slow else 1)
        self._later(duration, lambda: self._end_conversion(settled))

    def _settled(self) -> float | None:
        """Return the settled share of the input when the sampling starts; None without bias.

        The bias may have been switched on too late, or FORCE- closed too late; the latter charges
        only the filter, because the bias stays on.
        """
        if self._bias_us is None:
            return None
        biased_us = self._clock.now_us - self._bias_us
        settled = 1 - math.exp(-BIAS_START_CONSTANTS * biased_us / BIAS_START_US)
        if self._closed_us is not None:
            settled *= 1 - math.exp((self._closed_us - self._clock.now_us) / FILTER_US)
        return settled

    def _end_conversion(self, settled: float | None) -> None:
        self._converting = False
        if not self._watch_voltage():
            code = self._code(settled)
            self._registers[RTD_MSB : RTD_LSB + 1] = (code << 1).to_bytes(2, "big")
            # Thresholds have the format of the data; both comparisons include equality (page 15).
            if code >= self._threshold(HIGH_MSB):
                self._registers[STATUS] |= RTD_HIGH
            if code <= self._threshold(LOW_MSB):
                self._registers[STATUS] |= RTD_LOW
            self._fresh = self._celsius(self._clock.now_us / US_PER_S)
        if self._registers[CONFIGURATION] & AUTOMATIC:
            self._convert(CONTINUOUS_US)

    def _threshold(self, register: int) -> int:
        return int.from_bytes(self._registers[register : register + 2], "big") >> 1

    def _code(self, settled: float | None) -> int:
        if self.stuck is not None:
            return self.stuck
        data = LEADS[self.fault][2] if self.fault else Data.VALID
        if data is Data.FULL_SCALE:
            return FULL_SCALE
        if data is Data.NEAR_ZERO:
            return 0
        if data is Data.INDETERMINATE:
            return self._rng.randint(*PLAUSIBLE_CODES)
        if self.wild:
            return round(resistance(self.wild.pop(0)) / self._rref * 32768)
        if settled is None:
            return self._rng.randrange(FULL_SCALE + 1)
        ohm = resistance(self._celsius(self._clock.now_us / US_PER_S), self._r0)
        if self._wires == 2:
            ohm += 2 * self._wire_ohm
        elif self._wires == 3 and not self._registers[CONFIGURATION] & THREE_WIRE:
            ohm += self._wire_ohm
        reference_v = BIAS_V * self._rref / (self._rref + ohm)
        noise = self._rng.gauss(0, NOISE_V / reference_v * 32768)
        code = round(ohm / self._rref * 32768 * settled + self._offset + noise)
        return max(0, min(FULL_SCALE, code))

    def _watch_voltage(self) -> bool:
        """Set the over- and undervoltage bit; it is set again while its cause persists."""
        if self.fault is Fault.VOLTAGE:
            self._registers[STATUS] |= VOLTAGE
        return self.fault is Fault.VOLTAGE

    def _end_fault_cycle(self) -> None:
        self._registers[CONFIGURATION] &= ~FAULT_CYCLE & 0xFF
        if self.fault and self._bias_us is not None:
            closed, opened, _ = LEADS[self.fault]
            self._registers[STATUS] |= closed | opened

    def _test_leads_closed(self) -> None:
        """Test the leads with FORCE- closed; then FORCE- is open (page 14)."""
        if self._bias_us is None:
            return
        if self.fault:
            self._registers[STATUS] |= LEADS[self.fault][0]
        self._opened_us = self._clock.now_us

    def _test_leads_open(self) -> None:
        """Test the leads with FORCE- open, after the first test; then FORCE- is closed."""
        if self._opened_us is None:
            return
        waited, self._opened_us = self._clock.now_us - self._opened_us, None
        self._closed_us = self._clock.now_us
        self._registers[CONFIGURATION] &= ~FAULT_CYCLE & 0xFF
        if self.fault:
            self._registers[STATUS] |= LEADS[self.fault][1]
        if waited < LEADS_CONSTANTS * FILTER_US:
            self._registers[STATUS] |= REFIN_LOW | RTDIN_LOW  # the inputs have not settled yet

    def _note(self) -> None:
        """Note the value that the firmware reads, once for each conversion."""
        if self._fresh is None:
            return
        true_c, self._fresh = self._fresh, None
        status = self._registers[STATUS]
        if status:
            self._journal.note("sensor-fault", sensor=self.name, status=status)
            return
        code = int.from_bytes(self._registers[RTD_MSB : RTD_LSB + 1], "big") >> 1
        self._journal.note(
            "measure",
            sensor=self.name,
            celsius=temperature(code * self._rref / 32768),
            code=code,
            true_celsius=true_c,
        )
