"""ST LIS2DW12: acceleration over I2C (datasheet DocID029682, application note AN5038).

Modelled: output registers, the modes of the FIFO, wake-up, free-fall and 6D recognition, latched
interrupts on INT1, self-test. Not modelled: tap and activity recognition, single conversion, INT2.

Without motion all samples are equal except for noise. The model then creates samples only when
they are read, and otherwise one by one at the output data rate.
"""

from __future__ import annotations

import random
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Generator, Sequence
from itertools import islice
from typing import ClassVar

from coldtrail_simulator.clock import US_PER_MS, US_PER_S, Clock, Handle
from coldtrail_simulator.energy import OFF, Load
from coldtrail_simulator.journal import Journal
from coldtrail_simulator.models import currents
from coldtrail_simulator.models import lis2dw12_registers as r
from coldtrail_simulator.wires import Nak, Terminal

Vector = tuple[float, float, float]
Sample = tuple[int, int, int]
"""Output registers (x, y, z), 16 bits signed."""

BOOT_US = 20 * US_PER_MS
DEPTH = 32
STORM_US = 2 * US_PER_S
STUCK: Sample = (0x7FF0, 0x7FF0, 0x7FF0)


class LIS2DW12:
    """One sensor.

    Args:
        acceleration: (x, y, z) in g at a time in seconds; at rest +1 g upwards.
        motions: spans (from, to) in seconds, ascending, within which the acceleration changes.
    """

    FAULTS: ClassVar = {
        "no_answer": ("silent", True, False),
        "stuck_bus": ("holds_bus", True, False),
        "stuck_value": ("stuck", STUCK, None),
        "wrong_id": ("identity", 0x33, r.LIS2DW12_ID),
        "slow": ("asleep", True, False),
        "interrupt_storm": ("storm", True, False),
        "seized": ("seized", True, False),
    }

    def __init__(
        self,
        clock: Clock,
        rng: random.Random,
        journal: Journal,
        *,
        name: str = "accelerometer",
        address: int = 0x19,
        acceleration: Callable[[float], Vector],
        motions: Sequence[tuple[float, float]] = (),
    ) -> None:
        self._clock = clock
        self._rng = rng
        self._journal = journal
        self.name = name
        self.address = address
        self._acceleration = acceleration
        self._motions = motions
        # This specimen: typical zero-g offset within 20 mg, self-test within 70...1500 mg.
        self._offset = tuple(max(-0.04, min(0.04, rng.gauss(0, 0.01))) for _ in range(3))
        self.deflection = tuple(rng.uniform(0.2, 0.6) for _ in range(3))
        self.seized = False
        """Fault: the self-test has no effect."""
        self._rate = 1 + max(-0.02, min(0.02, rng.gauss(0, 0.005)))
        self._int1: Terminal | None = None
        self.silent = False
        """Fault: the part does not acknowledge."""
        self.holds_bus = False
        """Fault: the part holds SDA low, which blocks the bus for all parts."""
        self.stuck: Sample | None = None
        """Fault: every sample has these values."""
        self.identity = r.LIS2DW12_ID
        """The identity that the part reports; another value is a fault."""
        self.asleep = False
        """Fault: there are no samples."""
        self._storm = False
        self.load = Load(clock, currents.LIS2DW12)
        self.powered = True
        self._ready_us = 0
        self._tick: Handle | None = None
        self._reset()

    # --- power and pins

    def _reset(self) -> None:
        if self._tick:
            self._tick.cancel()
        self._tick = None
        self._registers = bytearray(64)
        for register, value in r.RESET.items():
            self._registers[register] = value
        self._pointer = 0
        self._fifo: deque[Sample] = deque(maxlen=DEPTH)
        self._overrun = False
        # Number of samples since the trigger, including the one that triggered.
        self._triggered = 0
        self._sources = 0
        self._face = 0
        self._falling = self._over = 0
        self._before: Sample | None = None
        self._output: Sample = (0, 0, 0)
        self._restart()

    def power_on(self) -> None:
        """Supply the part; it loads its trimming first."""
        self.powered = True
        self._ready_us = self._clock.now_us + BOOT_US
        self._draw()
        self._drive()

    def power_off(self) -> None:
        """Remove the supply: the registers return to their reset values."""
        self.powered = False
        self._reset()

    def connect_int1(self, terminal: Terminal) -> None:
        """Connect INT1 to a net."""
        self._int1 = terminal
        self._drive()

    def _drive(self) -> None:
        """Drive INT1 with the polarity and output stage set in CTRL3."""
        if not self._int1:
            return
        if not self.powered:
            self._int1.drive(None)
            return
        control = self._registers[r.CTRL3]
        active = self._storm or bool(self._signals() & self._registers[r.CTRL4])
        level = int(active != bool(control & r.H_LACTIVE))
        self._int1.drive(None if control & r.PP_OD and level else level)

    def _signals(self) -> int:
        """Return the active signals that can be routed to INT1, in the bits of CTRL4."""
        count = len(self._fifo)
        return (
            (r.INT1_6D if self._sources & r.ALL_6D_IA else 0)
            | (r.INT1_WU if self._sources & r.ALL_WU_IA else 0)
            | (r.INT1_FF if self._sources & r.ALL_FF_IA else 0)
            | (r.INT1_DIFF5 if count == DEPTH else 0)
            | (r.INT1_FTH if count >= (self._registers[r.FIFO_CTRL] & 31 or DEPTH + 1) else 0)
            | (r.INT1_DRDY if self._fresh else 0)
        )

    @property
    def storm(self) -> bool:
        """Fault: INT1 rises every two seconds, independent of measurements and reads."""
        return self._storm

    @storm.setter
    def storm(self, on: bool) -> None:
        was, self._storm = self._storm, on
        if on and not was:
            self._clock.call_after(STORM_US, self._rise)
        self._drive()

    def _rise(self) -> None:
        if self._storm and self._int1 and self.powered:
            self._int1.drive(0)
            self._drive()
            self._clock.call_after(STORM_US, self._rise)

    # --- sampling

    @property
    def _period_us(self) -> int:
        hertz = r.hertz(self._registers[r.CTRL1])
        return round(US_PER_S / hertz * self._rate) if hertz else 0

    def _restart(self) -> None:
        """Restart the sampling, because the data rate was set."""
        self._draw()
        self._begun_us = self._clock.now_us
        self._made = 0
        self._fresh = False
        self._watch()

    def _draw(self) -> None:
        """Account the current of the mode; each low-power rate counts as the highest one."""
        if not self.powered:
            self.load.become(OFF)
        elif not self._period_us:
            self.load.become("power-down")
        elif r.is_high_performance(self._registers[r.CTRL1]):
            self.load.become("high performance")
        else:
            self.load.become("low power, 200 Hz")

    def look(self) -> None:
        """React to a change of the acceleration, now or soon."""
        self._watch()

    def _watch(self) -> None:
        """Create the next samples one by one, because each may cause an event."""
        self._until = self._made + r.LONGEST_DURATION + 2
        self._schedule()

    def _schedule(self) -> None:
        if self._tick:
            self._tick.cancel()
            self._tick = None
        period, now = self._period_us, self._clock.now_us
        if not period or not self._registers[r.CTRL7] & r.INTERRUPTS_ENABLE:
            return
        next_one = (now - self._begun_us) // period + 1
        if next_one > self._until:
            position = bisect_right(self._motions, now / US_PER_S, key=lambda span: span[1])
            if position == len(self._motions):
                return
            start, end = self._motions[position]
            next_one = max(next_one, (round(start * US_PER_S) - self._begun_us) // period + 1)
            self._until = (round(end * US_PER_S) - self._begun_us) // period + 2
        self._tick = self._clock.call_at(self._begun_us + next_one * period, self._on_tick)

    def _on_tick(self) -> None:
        self._tick = None
        self._catch_up()
        self._schedule()

    def _catch_up(self) -> None:
        """Create the samples until now that the FIFO and the registers can still show."""
        period = self._period_us
        if not period or self.asleep:
            return
        due = (self._clock.now_us - self._begun_us) // period
        while self._made < due:
            if not self._filling:
                # Earlier samples would have been overwritten or not stored, so they have no
                # effect.
                self._made = max(self._made, due - DEPTH - 1)
            self._made += 1
            self._sample((self._begun_us + self._made * period) / US_PER_S)
        self._drive()

    @property
    def _filling(self) -> bool:
        """Whether the FIFO stores the next sample and keeps the older ones."""
        mode = self._registers[r.FIFO_CTRL] >> 5
        keeps = mode == r.FIFO or (mode == r.CONTINUOUS_TO_FIFO and self._triggered)
        return bool(keeps) and len(self._fifo) < DEPTH

    def _sample(self, t_s: float) -> None:
        self._true = self._acceleration(t_s)
        sample = self.stuck or self._convert(self._true)
        self._output = sample
        self._fresh = True
        self._store(sample)
        if self._registers[r.CTRL7] & r.INTERRUPTS_ENABLE:
            self._recognise(sample)
        self._before = sample

    def _convert(self, g: Vector) -> Sample:
        control = self._registers[r.CTRL1]
        scale = r.full_scale_g(self._registers[r.CTRL6])
        digit_mg = r.DIGIT_MG * scale / 2
        shift = 2
        if r.is_twelve_bits(control):
            digit_mg, shift = digit_mg * 4, 4
        test = {r.ST_POSITIVE: 1, r.ST_NEGATIVE: -1}.get(self._registers[r.CTRL3] & r.ST, 0)
        test *= not self.seized
        noise = r.noise_mg(control)
        top = (1 << 15 - shift) - 1
        codes = (
            round(((a + o + test * d) * 1000 + self._rng.gauss(0, noise)) / digit_mg)
            for a, o, d in zip(g, self._offset, self.deflection, strict=True)
        )
        x, y, z = (max(-top - 1, min(top, code)) << shift for code in codes)
        return x, y, z

    def _store(self, sample: Sample) -> None:
        """Store a sample in the FIFO according to its mode."""
        mode = self._registers[r.FIFO_CTRL] >> 5
        full = len(self._fifo) == DEPTH
        if mode == r.BYPASS or (mode == r.BYPASS_TO_CONTINUOUS and not self._triggered):
            return
        if full and mode == r.FIFO:
            return
        if full and mode == r.CONTINUOUS_TO_FIFO and self._triggered:
            # A full FIFO takes the first sample after the trigger, then stops.
            if self._triggered > 1:
                return
            self._triggered = 2
        self._overrun = full
        self._fifo.append(sample)

    # --- recognition

    def _recognise(self, sample: Sample) -> None:
        registers = self._registers
        lsb_g = r.full_scale_g(registers[r.CTRL6]) / 32768
        g = [value * lsb_g for value in sample]
        latched = registers[r.CTRL3] & r.LIR
        routed = self._signals() & registers[r.CTRL4] & r.TRIGGERS
        if not latched:
            self._sources = 0
        if registers[r.CTRL7] & r.USR_OFF_ON_WU:
            path = g
        else:
            # The high-pass filter at ODR/4 is half the difference of two samples.
            last = self._before or sample
            path = [(a - b * lsb_g) / 2 for a, b in zip(g, last, strict=True)]
        threshold = (registers[r.WAKE_UP_THS] & 63) * r.full_scale_g(registers[r.CTRL6]) / 64
        axes = sum(
            bit for value, bit in zip(path, (4, 2, 1), strict=True) if abs(value) > threshold
        )
        self._over = self._over + 1 if axes else 0
        if self._over > (registers[r.WAKE_UP_DUR] >> 5 & 3):
            self._sources |= r.ALL_WU_IA
            self._axes = axes
        fall = registers[r.FREE_FALL]
        falls = max(map(abs, g)) < r.FREE_FALL_G[fall & 7]
        self._falling = self._falling + 1 if falls else 0
        if self._falling >= max(1, (registers[r.WAKE_UP_DUR] >> 7) << 5 | fall >> 3):
            self._sources |= r.ALL_FF_IA
        face = r.face(g, registers[r.TAP_THS_X])
        if face and face != self._face:
            self._sources |= r.ALL_6D_IA
        self._face = face or self._face
        self._at = face
        if self._signals() & registers[r.CTRL4] & r.TRIGGERS and not routed:
            self._triggered = self._triggered or 1

    # --- serial interface

    def _answers(self) -> None:
        if not self.powered or self.silent or self._clock.now_us < self._ready_us:
            raise Nak

    def write(self, data: bytes) -> None:
        """Set the register address and write the registers from there on."""
        self._answers()
        self._catch_up()
        if not data:
            return
        self._pointer = data[0] & 0x7F
        for value in data[1:]:
            self._write(self._pointer, value)
            self._advance()
        if len(data) > 1:
            self._drive()

    def read(self, n: int) -> bytes:
        """Read registers; a read of the outputs wraps within them."""
        self._answers()
        stream = self.stream()
        answer = bytes(islice(stream, n))
        stream.close()
        return answer

    def stream(self) -> Generator[int, None, None]:
        """Read registers byte by byte; close the generator when the controller has enough.

        This is for controllers that mark the last byte only when they read it.
        """
        self._answers()
        self._catch_up()
        first = self._pointer
        handed: list[Sample] = []
        n = 0
        try:
            while True:
                if self._pointer == r.OUT_X_L:
                    handed.append(self._next())
                value = self._read(self._pointer)
                self._advance()
                n += 1
                yield value
        finally:
            if handed:
                self._note(handed, whole=first == r.OUT_X_L and n == 6 * len(handed))
            self._drive()

    def _advance(self) -> None:
        if self._registers[r.CTRL2] & r.IF_ADD_INC:
            self._pointer = r.OUT_X_L if self._pointer == r.OUT_Z_H else self._pointer + 1 & 0x3F

    def _next(self) -> Sample:
        """Move the oldest sample of the FIFO to the outputs, or the newest one without a FIFO."""
        self._fresh = False
        if self._fifo and self._registers[r.FIFO_CTRL] >> 5 != r.BYPASS:
            self._shown = self._fifo.popleft()
        else:
            self._shown = self._output
        return self._shown

    def _read(self, register: int) -> int:
        registers, sources = self._registers, self._sources
        if r.OUT_X_L <= register <= r.OUT_Z_H:
            pair = (self._shown[(register - r.OUT_X_L) // 2] & 0xFFFF).to_bytes(2, "little")
            return pair[(register - r.OUT_X_L) % 2]
        match register:
            case r.WHO_AM_I:
                return self.identity
            case r.STATUS:
                return r.status(sources) | (1 if self._fresh else 0)
            case r.FIFO_SAMPLES:
                count = len(self._fifo)
                over = count >= (registers[r.FIFO_CTRL] & 31 or DEPTH + 1)
                return count | (0x40 if self._overrun else 0) | (0x80 if over else 0)
            case r.WAKE_UP_SRC:
                self._clear(r.ALL_WU_IA | r.ALL_FF_IA)
                axes = self._axes if sources & r.ALL_WU_IA else 0
                return r.wake_up_source(sources) | axes
            case r.SIXD_SRC:
                self._clear(r.ALL_6D_IA)
                return self._at | (0x40 if sources & r.ALL_6D_IA else 0)
            case r.ALL_INT_SRC:
                self._clear(0xFF)
                return sources
        return registers[register]

    _axes = _at = 0
    _shown: Sample = (0, 0, 0)
    _true: Vector = (0.0, 0.0, 0.0)

    def _clear(self, sources: int) -> None:
        """Clear latched sources; a condition that persists is set again by the next sample."""
        if self._sources & sources:
            self._sources &= ~sources
            self._watch()

    def _write(self, register: int, value: int) -> None:
        if register not in r.WRITABLE:
            return
        was, self._registers[register] = self._registers[register], value
        match register:
            case r.CTRL1:
                if value != was:
                    self._restart()
            case r.CTRL2:
                if value & (r.SOFT_RESET | r.BOOT):
                    self._reset()
            case r.FIFO_CTRL:
                if value >> 5 == r.BYPASS:
                    self._fifo.clear()
                    self._overrun = False
                self._triggered = 0
            case _:
                self._watch()

    def _note(self, handed: list[Sample], *, whole: bool) -> None:
        """Note the samples that were read; one sample of a running FIFO is a measurement."""
        lsb_mg = r.DIGIT_MG / 8 * r.full_scale_g(self._registers[r.CTRL6])
        samples = [[value * lsb_mg for value in sample] for sample in handed]
        if whole and len(handed) == 1 and self._registers[r.FIFO_CTRL] >> 5 != r.BYPASS:
            true = [round(value * 1000, 1) for value in self._true]
            self._journal.note("measure", sensor=self.name, mg=samples[0], true_mg=true)
        else:
            peaks = [max(axis, key=abs) for axis in zip(*samples, strict=True)]
            self._journal.note("samples", sensor=self.name, count=len(handed), peak_mg=peaks)
