"""An nRF52840 as its product specification describes it, as far as the port layer looks at it.

Registers behind ``machine.mem32``, pins behind ``machine.Pin``, and a time that passes only with
what is done. What the specification forbids is an assertion; a register that is not modelled is a
KeyError.
"""

from typing import ClassVar

XTAL, RC = 1, 0
BUSY_US = 5
START_US = 250
"""What an access takes, and the start of a conversion."""


class SystemOff(BaseException):
    """The chip has gone off."""


class Bitten(BaseException):
    """The watchdog has reset the chip."""


class ResetBySoftware(BaseException):
    """machine.reset()."""


class Chip:
    """One chip; ``us`` is the time since power-on, of which the clocks know 1/32,768 s."""

    def __init__(self, reasons=0, retained=0):
        self.us = 0
        self.access_us = BUSY_US
        self.tick_us = 1000
        self.levels = [0] * 48
        self.cnf = [2] * 48  # as a reset leaves them: input, not connected
        self.out = [0] * 48
        self.vbus = False
        self.volts = dict.fromkeys(range(8), 0.0)
        self.memory = {}
        self.off_with = None
        self.at = []  # (us, function), run when their time has come
        # RTC2
        self.running = False
        self.prescaler = 0
        self.base = self.wraps = 0
        self.began_us = 0
        self.overflow = 0
        self.evten = 0
        # WDT
        self.wdt = {0x504: 0xFFFFFFFF, 0x508: 1, 0x50C: 1}
        self.wdt_runs = False
        self.fed_us = 0
        self.longest_us = 0
        # CLOCK: the interpreter has started it from the RC oscillator
        self.source, self.clock_runs, self.stopping_us = RC, True, None
        # POWER, as machine_init of the port leaves RESETREAS
        self.reasons, self.retained = reasons, retained
        self.cause = self._machine_init()
        # SAADC
        self.adc = {}
        self.events = dict.fromkeys((0x100, 0x104, 0x114), 0)

    def _machine_init(self):
        """Judge and clear the reset reason as the interpreter does."""
        for bit in (0, 1, 2, 3, 16, 17, 18, 19):
            if self.reasons >> bit & 1:
                self.reasons &= ~(1 << bit)
                return bit
        self.reasons &= ~1
        return 0

    # ---- time ----

    def pass_us(self, us):
        """Let time pass; whatever is due meanwhile happens."""
        end = self.us + us
        for due in sorted((d for d in self.at if d[0] <= end), key=lambda d: d[0]):
            self.at.remove(due)
            self.us = max(self.us, due[0])
            due[1]()
        self.us = end
        self._count()
        if self.wdt_runs:
            self.longest_us = max(self.longest_us, self.us - self.fed_us)
            if (self.us - self.fed_us) * 32768 > (self.wdt[0x504] + 1) * 1_000_000:
                raise Bitten

    def ticks(self):
        """Return how far RTC2 has counted, overflows included."""
        if not self.running:
            return self.base
        clocks = (self.us - self.began_us) * 32768 // 1_000_000
        return self.base + clocks // (self.prescaler + 1)

    def _count(self):
        if self.ticks() >> 24 > self.wraps:
            self.wraps = self.ticks() >> 24
            if self.evten & 2:
                self.overflow = 1

    # ---- machine.mem32 ----

    def __getitem__(self, address):
        self.pass_us(self.access_us)
        base, offset = address & 0xFFFFF000, address & 0xFFF
        return self.READ[base](self, offset)

    def __setitem__(self, address, value):
        assert 0 <= value < 1 << 32
        self.pass_us(self.access_us)
        base, offset = address & 0xFFFFF000, address & 0xFFF
        self.WRITE[base](self, offset, value)

    def _read_power(self, offset):
        if offset == 0x418:
            if self.stopping_us is not None and self.us >= self.stopping_us:
                self.clock_runs, self.stopping_us = False, None
            return self.clock_runs << 16 | (self.source if self.clock_runs else 0)
        return {
            0x400: self.reasons, 0x438: int(self.vbus), 0x51C: self.retained,
        }[offset]  # fmt: skip

    def _write_power(self, offset, value):
        if offset == 0x400:
            self.reasons &= ~value
        elif offset == 0x51C:
            self.retained = value & 0xFF
        elif offset == 0x500:
            self.off_with = [n for n in range(48) if self.cnf[n] >> 16 & 3]
            raise SystemOff
        elif offset == 0x008:
            self.clock_runs = True
        elif offset == 0x00C:
            self.stopping_us = self.us + 60
        else:
            assert offset == 0x518
            assert not self.clock_runs, "the source is changed while the clock runs"
            self.source = value & 3

    def _read_rtc(self, offset):
        return {0x104: self.overflow, 0x504: self.ticks() & 0xFFFFFF}[offset]

    def _write_rtc(self, offset, value):
        if offset == 0x508:
            assert not self.running, "the prescaler is changed while the counter runs"
            self.prescaler = value
        elif offset == 0x104:
            assert value == 0
            self.overflow = 0
        elif offset == 0x344:
            self.evten |= value
        else:
            assert value == 1
            self.base = self.ticks()
            self.began_us = self.us
            if offset == 0x008:
                self.base = self.wraps = 0
            else:
                self.running = {0x000: True, 0x004: False}[offset]

    def _read_wdt(self, offset):
        return int(self.wdt_runs) if offset == 0x400 else self.wdt[offset]

    def _write_wdt(self, offset, value):
        if offset == 0x600:
            if value == 0x6E524635:
                self.fed_us = self.us
        elif offset == 0x000:
            self.wdt_runs, self.fed_us = True, self.us
        elif not self.wdt_runs:  # then it keeps its settings
            assert offset in self.wdt
            self.wdt[offset] = value

    def _read_gpio(self, offset):
        port, offset = divmod(offset, 0x300)
        return self.cnf[32 * port + (offset - 0x700) // 4] if offset >= 0x700 else 0

    def _write_gpio(self, offset, value):
        port = 1 if offset in range(0x800, 0xA80) or offset == 0x820 else 0
        offset -= 0x300 * port
        if offset >= 0x700:
            self.cnf[32 * port + (offset - 0x700) // 4] = value
        else:
            assert offset == 0x520

    def _read_adc(self, offset):
        return self.events[offset]

    def _write_adc(self, offset, value):
        if offset in self.events:
            assert value == 0
            self.events[offset] = 0
        elif offset >= 0x500:
            self.adc[offset] = value
        else:
            assert self.adc[0x500] == 1, "not enabled"
            event = {0x000: 0x100, 0x004: 0x104, 0x008: 0x114}[offset]
            if offset == 0x004:
                self._convert()
            self.at.append((self.us + START_US, lambda: self.events.update({event: 1})))

    def _convert(self):
        """RESULT = V * GAIN / REFERENCE * 2 ** RESOLUTION (6.23.2)."""
        adc = self.adc
        assert adc[0x518] & 0x700 == 0, "GAIN 1/6"
        assert adc[0x518] & 0x1000 == 0, "the reference of 0.6 V"
        bits = {0: 8, 1: 10, 2: 12, 3: 14}[adc[0x5F0]]
        volts = self.volts[adc[0x510] - 1]
        code = min(int(volts / 6 / 0.6 * (1 << bits)), (1 << bits) - 1)
        assert adc[0x630] == 1
        self.memory[adc[0x62C]][:2] = code.to_bytes(2, "little", signed=True)

    READ: ClassVar = {
        0x40000000: _read_power, 0x40024000: _read_rtc, 0x40010000: _read_wdt,
        0x40007000: _read_adc, 0x50000000: _read_gpio,
        0x10000000: lambda self, offset: {0x060: 0x33221100, 0x064: 0x77665544}[offset],
    }  # fmt: skip
    WRITE: ClassVar = {
        0x40000000: _write_power, 0x40024000: _write_rtc, 0x40010000: _write_wdt,
        0x40007000: _write_adc, 0x50000000: _write_gpio,
    }  # fmt: skip

    # ---- the rest of machine, time and uctypes ----

    def lightsleep(self):
        """Wait for an event, such as that of the interpreter's ticks."""
        self.pass_us(self.tick_us - self.us % self.tick_us)

    def reset(self):
        """Reset by software."""
        raise ResetBySoftware

    def ticks_ms(self):
        """Return ``time.ticks_ms()``, which counts the clock that CLOCK starts and stops."""
        assert self.clock_runs, "waits by a clock that stands"
        self.pass_us(1)
        return self.us // 1000 & (1 << 30) - 1

    def addressof(self, data):
        """Return where an object lies."""
        address = 0x20001000 + 16 * len(self.memory)
        self.memory[address] = data
        return address


def pin_class(chip):
    """Return ``machine.Pin`` of a chip, as the port has it: without OPEN_DRAIN."""

    class Pin:
        IN, OUT = 0, 1

        def __init__(self, number, mode=None, value=None):
            self.number = number
            if value is not None:
                chip.out[number] = int(bool(value))
            if mode is not None:
                chip.cnf[number] = 3 if mode else 0

        def value(self, level=None):
            if level is not None:
                chip.out[self.number] = int(bool(level))
                return None
            assert not chip.cnf[self.number] & 2, "the input is not connected"
            return chip.levels[self.number]

        __call__ = value

    return Pin
