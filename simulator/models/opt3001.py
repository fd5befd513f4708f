"""Texas Instruments OPT3001: illuminance over I2C (datasheet SBOS681C).

The light changes in steps. In steady light a conversion repeats the result of the one before, so
the model makes a conversion only where its result may differ; the registers read the same as with
all conversions. SMBus alert, general-call reset and high-speed mode are not modelled.
"""

from __future__ import annotations

import random
from bisect import bisect_right
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import ClassVar

from coldtrail_simulator.clock import US_PER_MS, US_PER_S, Clock, Handle
from coldtrail_simulator.energy import OFF, Load
from coldtrail_simulator.journal import Journal
from coldtrail_simulator.models import currents
from coldtrail_simulator.wires import Nak, Terminal

RESULT, CONFIGURATION, LOW_LIMIT, HIGH_LIMIT = range(4)
MANUFACTURER_ID, DEVICE_ID = 0x7E, 0x7F
TI, OPT3001_ID = 0x5449, 0x3001

# Configuration register (7.6.1.1.2).
RN = 0xF000
CT = 0x0800
M = 0x0600
M_SHUTDOWN, M_SINGLE, M_CONTINUOUS = 0x0000, 0x0200, 0x0400
OVF, CRF, FH, FL = 0x0100, 0x0080, 0x0040, 0x0020
LATCH, POL, ME = 0x0010, 0x0008, 0x0004
FC = 0x0003
WRITABLE = 0xFE1F
AUTOMATIC = 0xC
FAULT_COUNTS = (1, 2, 4, 8)

RESET = {CONFIGURATION: 0xC810, LOW_LIMIT: 0xC000, HIGH_LIMIT: 0xBFFF}
# Total integration time: 100 or 800 ms within 10 % (6.5); automatic ranging adds 10 ms (7.4.1).
CONVERT_MS = {0: (90, 110), CT: (720, 880)}
RANGE_US = 10 * US_PER_MS
LEAST_LX = 0.01
HIGHEST_RANGE = 11
STORM_US = 2 * US_PER_S


def lux(code: int) -> float:
    """Return the lux of a result or limit register: 0.01 * 2^E * R (7.6.1.1.1)."""
    return LEAST_LX * (1 << (code >> 12)) * (code & 0xFFF)


class OPT3001:
    """One sensor.

    Args:
        light: the illuminance in lux at a time in seconds.
        changes: the times in seconds, ascending, at which the light changes.
    """

    FAULTS: ClassVar = {
        "no_answer": ("silent", True, False),
        "stuck_bus": ("holds_bus", True, False),
        "stuck_value": ("stuck", 0x0000, None),
        "wrong_id": ("device_id", 0x3002, OPT3001_ID),
        "out_of_range": ("dazzled", True, False),
        "slow": ("slow", True, False),
        "interrupt_storm": ("storm", True, False),
    }

    def __init__(
        self,
        clock: Clock,
        rng: random.Random,
        journal: Journal,
        *,
        name: str = "light",
        address: int = 0x45,
        light: Callable[[float], float],
        changes: Sequence[float] = (),
    ) -> None:
        self._clock = clock
        self._rng = rng
        self._journal = journal
        self.name = name
        self.address = address
        self._light = light
        self._changes = changes
        # This specimen (6.5): 2000 lx reads 1800...2200, darkness up to 3 codes.
        self._gain = max(0.9, min(1.1, rng.gauss(1, 0.03)))
        self._dark_lx = LEAST_LX * rng.choice((0, 0, 0, 1, 2, 3))
        self._convert_us = {ct: rng.randint(*span) * US_PER_MS for ct, span in CONVERT_MS.items()}
        self._int: Terminal | None = None
        self.silent = False
        """Fault: the part does not acknowledge."""
        self.holds_bus = False
        """Fault: the part holds SDA low, which blocks the bus for all parts."""
        self.stuck: int | None = None
        """Fault: every conversion gives this result."""
        self.device_id = OPT3001_ID
        """The identity that the part reports; another value is a fault."""
        self.dazzled = False
        """Fault: the light exceeds the highest range."""
        self.slow = False
        """Fault: no conversion ends."""
        self._storm = False
        self.load = Load(clock, currents.OPT3001)
        self.powered = True
        self._handle: Handle | None = None
        self._reset()

    # --- power and pins

    def _reset(self) -> None:
        if self._handle:
            self._handle.cancel()
        self._handle = None
        self._registers = {RESULT: 0} | RESET
        self._pointer = RESULT
        self._begun_us = self._ended_us = 0
        self._steady = 0
        self._high = self._low = 0
        self._true_lx = 0.0
        self._active = False
        self._draw()
        self._drive()

    def power_on(self) -> None:
        """Supply the part; it starts in shutdown (7.1)."""
        self.powered = True
        self._draw()

    def power_off(self) -> None:
        """Remove the supply: the registers return to their reset values."""
        self.powered = False
        self._reset()

    def connect_int(self, terminal: Terminal) -> None:
        """Connect INT, an open drain, to a net."""
        self._int = terminal
        self._drive()

    def _draw(self) -> None:
        converting = self._registers[CONFIGURATION] & M
        state = "converting" if converting else "shut down"
        self.load.become(state if self.powered else OFF)

    def _drive(self) -> None:
        """Drive INT with the polarity set by POL (7.3.3)."""
        if self._int:
            inverted = bool(self._registers[CONFIGURATION] & POL)
            low = self._active != inverted and self.powered
            self._int.drive(0 if low or (self._storm and self.powered) else None)

    @property
    def storm(self) -> bool:
        """Fault: INT falls every two seconds, independent of measurements and reads."""
        return self._storm

    @storm.setter
    def storm(self, on: bool) -> None:
        was, self._storm = self._storm, on
        if on and not was:
            self._clock.call_after(STORM_US, self._fall)
        self._drive()

    def _fall(self) -> None:
        if self._storm and self._int:
            self._int.drive(None)
            self._drive()
            self._clock.call_after(STORM_US, self._fall)

    # --- serial interface (7.5.1)

    def _answers(self) -> None:
        if not self.powered or self.silent:
            raise Nak

    def write(self, data: bytes) -> None:
        """Set the register pointer, and write the register if two bytes follow."""
        self._answers()
        if not data:
            return
        self._pointer = data[0]
        if len(data) >= 3:
            self._write(self._pointer, data[1] << 8 | data[2])

    def read(self, n: int) -> bytes:
        """Read the register at the pointer repeatedly."""
        self._answers()
        return (self._read(self._pointer).to_bytes(2, "big") * (n // 2 + 1))[:n]

    def _write(self, register: int, value: int) -> None:
        if register == CONFIGURATION:
            kept = self._registers[CONFIGURATION] & ~WRITABLE
            self._registers[CONFIGURATION] = kept & ~CRF | value & WRITABLE
            self._high = self._low = 0
            if value & M:
                self._begin()
            elif self._handle:
                self._handle.cancel()
            self._draw()
            self._drive()
        elif register in (LOW_LIMIT, HIGH_LIMIT):
            self._registers[register] = value
            self._look_again()

    def _read(self, register: int) -> int:
        self._catch_up()
        if register == MANUFACTURER_ID:
            return TI
        if register == DEVICE_ID:
            return self.device_id
        value = self._registers.get(register, 0)
        if register == CONFIGURATION:
            # Reading clears the latched flags (table 2) and the conversion-ready flag.
            self._registers[CONFIGURATION] &= ~CRF
            if value & LATCH or self._end_of_conversion:
                self._registers[CONFIGURATION] &= ~(FH | FL)
                self._active = False
                self._drive()
                self._look_again()
        elif register == RESULT:
            self._journal.note(
                "measure", sensor=self.name, lux=round(lux(value), 2), true_lux=self._true_lx
            )
        return value

    # --- conversion

    def look(self) -> None:
        """React to a change of the light, now or soon."""
        self._look_again()

    @property
    def _end_of_conversion(self) -> bool:
        return self._registers[LOW_LIMIT] >> 14 == 3

    @property
    def _span_us(self) -> int:
        return self._convert_us[self._registers[CONFIGURATION] & CT]

    def _begin(self) -> None:
        """Start a conversion now; a running conversion is aborted."""
        self._begun_us = self._ended_us = self._clock.now_us
        if self._registers[CONFIGURATION] >> 12 == AUTOMATIC:
            self._begun_us += RANGE_US
        self._look_again()

    def _look_again(self) -> None:
        """Schedule the next conversion, and as many as the fault count requires."""
        self._steady = FAULT_COUNTS[self._registers[CONFIGURATION] & FC] + 1
        self._schedule()

    def _schedule(self) -> None:
        if self._handle:
            self._handle.cancel()
            self._handle = None
        if not self._registers[CONFIGURATION] & M:
            return
        span, now = self._span_us, self._clock.now_us
        if not self._steady:
            position = bisect_right(self._changes, now / US_PER_S)
            if position == len(self._changes):
                return
            now = max(now, round(self._changes[position] * US_PER_S))
            self._steady = FAULT_COUNTS[self._registers[CONFIGURATION] & FC] + 1
        ended = max(0, now - self._begun_us) // span
        self._handle = self._clock.call_at(self._begun_us + (ended + 1) * span, self._end)

    def _catch_up(self) -> None:
        """Count the skipped conversions, which had the same result as the last one."""
        count = (self._clock.now_us - self._begun_us) // self._span_us
        ended_us = self._begun_us + count * self._span_us
        if self._registers[CONFIGURATION] & M_CONTINUOUS and count > 0:
            self._convert(ended_us)

    def _end(self) -> None:
        self._handle = None
        self._convert(self._clock.now_us)
        self._steady -= 1
        if self._registers[CONFIGURATION] & M == M_SINGLE:
            self._registers[CONFIGURATION] &= ~M
            self._draw()
        self._schedule()

    def _convert(self, ended_us: int) -> None:
        """Set the result of the conversion that ends then; compare it with the limits."""
        if self.slow or ended_us <= self._ended_us:
            return
        self._ended_us = ended_us
        self._true_lx = self._mean_lx(ended_us - self._span_us, ended_us)
        code, overflow = self._code(self._true_lx * self._gain + self._dark_lx)
        configuration = self._registers[CONFIGURATION] & ~OVF | CRF | (OVF if overflow else 0)
        self._registers[RESULT] = code
        self._high = self._high + 1 if lux(code) > lux(self._registers[HIGH_LIMIT]) else 0
        self._low = self._low + 1 if lux(code) < lux(self._low_limit) else 0
        count = FAULT_COUNTS[configuration & FC]
        above, below = self._high >= count, self._low >= count
        if configuration & LATCH:
            configuration |= (FH if above else 0) | (FL if below else 0)
            self._active |= above or below
        elif above or below:
            configuration = configuration & ~(FH | FL) | (FH if above else FL)
            self._active = above
        if self._end_of_conversion:
            self._active = True
        self._registers[CONFIGURATION] = configuration
        self._drive()

    @property
    def _low_limit(self) -> int:
        """The low limit; in end-of-conversion mode its two top bits are not part of it."""
        limit = self._registers[LOW_LIMIT]
        return limit & 0x3FFF if self._end_of_conversion else limit

    def _mean_lx(self, begun_us: int, ended_us: int) -> float:
        """Return the illuminance averaged over the integration time."""
        knots = [begun_us / US_PER_S]
        knots += [t for t in self._changes if knots[0] < t < ended_us / US_PER_S]
        knots.append(ended_us / US_PER_S)
        if len(knots) == 2:
            return self._light((knots[0] + knots[1]) / 2)
        total = sum((b - a) * self._light((a + b) / 2) for a, b in pairwise(knots))
        return total / (knots[-1] - knots[0])

    def _code(self, measured_lx: float) -> tuple[int, bool]:
        if self.stuck is not None:
            return self.stuck, False
        number = self._registers[CONFIGURATION] >> 12
        # With an integration time of 100 ms the lowest ranges resolve only 0.08 lx.
        step = LEAST_LX * (1 if self._registers[CONFIGURATION] & CT else 8)
        codes = round(measured_lx / step) * round(step / LEAST_LX)
        if self.dazzled:
            codes = 1 << 24
        exponent = number if number <= HIGHEST_RANGE else 0
        while number > HIGHEST_RANGE and codes >> exponent > 0xFFF and exponent < HIGHEST_RANGE:
            exponent += 1
        mantissa = codes >> exponent
        return exponent << 12 | min(mantissa, 0xFFF), mantissa > 0xFFF
