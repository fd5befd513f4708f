"""nRF52840: functions on registers that MicroPython does not support.

Section numbers are those of the product specification v1.7. Every access uses ``mem32``. No
interrupt is used here, because interrupts belong to the interpreter, as do RTC1 and its ticks.
"""

import time
from errno import ETIMEDOUT

import machine
from machine import mem32
from micropython import const
from uctypes import addressof

# POWER (5.3.7) and CLOCK (5.4.3) are one peripheral.
_LFCLKSTART = const(0x40000008)
_LFCLKSTOP = const(0x4000000C)
_RESETREAS = const(0x40000400)
_LFCLKSTAT = const(0x40000418)
_USBREGSTATUS = const(0x40000438)
_SYSTEMOFF = const(0x40000500)
_GPREGRET = const(0x4000051C)
_LFCLKSRC = const(0x40000518)

_XTAL = const(1)  # LFCLKSRC.SRC, LFCLKSTAT.SRC
_SRC = const(3)
_RUNNING = const(0x10000)  # LFCLKSTAT.STATE
_LOOKS = const(1000)  # some ms; the clock stops within one period
_VBUSDETECT = const(1)

# RESETREAS
DOG = const(0x2)
SREQ = const(0x4)
OFF = const(0x10000)
VBUS = const(0x100000)

# RTC2, 6.22.10.
_RTC_START = const(0x40024000)
_RTC_STOP = const(0x40024004)
_RTC_CLEAR = const(0x40024008)
_EVENTS_OVRFLW = const(0x40024104)
_EVTENSET = const(0x40024344)
_COUNTER = const(0x40024504)
_PRESCALER = const(0x40024508)

_OVRFLW = const(0x2)  # EVTENSET
_PRESCALE = const(31)  # 32,768 Hz / (31 + 1) = 1,024 a second
_TASK_US = const(100)  # three periods of 32,768 Hz; each task takes up to one and a half
_WRAP_S = const(16384)  # the 24-bit counter overflows after this time

# WDT, 6.36.4.
_WDT_START = const(0x40010000)
_RUNSTATUS = const(0x40010400)
_CRV = const(0x40010504)
_RREN = const(0x40010508)
_WDT_CONFIG = const(0x4001050C)
_RR0 = const(0x40010600)

_RELOAD = const(0x6E524635)
_RUN_IN_SLEEP = const(1)

# SAADC, 6.23.10.
_ADC_START = const(0x40007000)
_ADC_SAMPLE = const(0x40007004)
_ADC_STOP = const(0x40007008)
_EVENTS_STARTED = const(0x40007100)
_EVENTS_END = const(0x40007104)
_EVENTS_STOPPED = const(0x40007114)
_ADC_ENABLE = const(0x40007500)
_CH0_PSELP = const(0x40007510)
_CH0_PSELN = const(0x40007514)
_CH0_CONFIG = const(0x40007518)
_RESOLUTION = const(0x400075F0)
_OVERSAMPLE = const(0x400075F4)
_RESULT_PTR = const(0x4000762C)
_RESULT_MAXCNT = const(0x40007630)

# GAIN 1/6, REFSEL 0.6 V, single-ended. TACQ is 40 us, for a divider of up to 800 kilo-ohm.
_CONFIG = const(0x50000)
_STEPS = const(28125)  # 3.6 V in uV / 4096 * 32; no product exceeds 31 bits
_12_BIT = const(2)
_AIN_PINS = (2, 3, 4, 5, 28, 29, 30, 31)

# GPIO P0 (6.9.2). The registers of P1 follow 0x300 later.
_LATCH = const(0x50000520)
_PIN_CNF = const(0x50000700)
_PORT = const(0x300)

_CNF_DRIVE = const(0x700)
_H0H1 = const(0x300)
_SENSE_HIGH = const(0x20000)

_DEVICEID = const(0x10000060)  # FICR, 4.4.1

_LIMIT_MS = const(10)


def _until(address, mask, value):
    """Wait until the bits ``mask`` of a register equal ``value``. Raises OSError(ETIMEDOUT)."""
    start = time.ticks_ms()
    while mem32[address] & mask != value:
        if time.ticks_diff(time.ticks_ms(), start) > _LIMIT_MS:
            raise OSError(ETIMEDOUT, "a register of the chip does not change")


def start_crystal():
    """Use the crystal for the 32,768 Hz clock of RTCs and watchdog (CLOCK, 5.4.2).

    The interpreter starts the clock from the RC oscillator, whose error is up to 2 %. The RC
    oscillator continues until the crystal runs, which takes a quarter of a second.
    """
    if mem32[_LFCLKSTAT] & (_RUNNING | _SRC) == _RUNNING | _XTAL:
        return
    # The source can only be changed while the clock is stopped. The interpreter's ticks count this
    # clock, so time cannot be measured until it runs again.
    mem32[_LFCLKSTOP] = 1
    for _ in range(_LOOKS):
        if not mem32[_LFCLKSTAT] & _RUNNING:
            break
    mem32[_LFCLKSRC] = _XTAL
    mem32[_LFCLKSTART] = 1


class Seconds:
    """Seconds since its creation, from RTC2: 24 bits of 1/1,024 s, and the overflows (6.22)."""

    def __init__(self):
        """Start the counter at 0."""
        mem32[_RTC_STOP] = 1
        mem32[_RTC_CLEAR] = 1
        mem32[_PRESCALER] = _PRESCALE  # possible only while the counter is stopped (6.22.2)
        mem32[_EVENTS_OVRFLW] = 0
        mem32[_EVTENSET] = _OVRFLW  # without this there is no overflow event (6.22.7)
        self._overflows = 0
        mem32[_RTC_START] = 1
        time.sleep_us(_TASK_US)

    def now(self):
        """Return (seconds, milliseconds). Must be called at least every 4.5 hours.

        An overflow between the reads of event and counter would give a time that is 4.5 hours too
        early. If the event is set after the counter was read, both are therefore read again.
        """
        while True:
            if mem32[_EVENTS_OVRFLW]:
                mem32[_EVENTS_OVRFLW] = 0
                self._overflows += 1
            count = mem32[_COUNTER]
            if not mem32[_EVENTS_OVRFLW]:
                return self._overflows * _WRAP_S + (count >> 10), (count & 1023) * 1000 >> 10


class Watchdog:
    """The WDT, which cannot be stopped once it runs (6.36)."""

    def __init__(self, timeout_ms):
        """Start the WDT. It counts while the CPU sleeps, and pauses while a debugger halts it."""
        if not mem32[_RUNSTATUS]:
            mem32[_CRV] = timeout_ms * 4096 // 125 - 1
            mem32[_WDT_CONFIG] = _RUN_IN_SLEEP
            mem32[_RREN] = 1
            mem32[_WDT_START] = 1
        self.feed()

    def feed(self):
        """Restart the timeout."""
        mem32[_RR0] = _RELOAD


def reset_reasons():
    """Return the bits of RESETREAS (5.3.7.8); 0 for power-on, brown-out and the reset pin.

    The interpreter has already cleared the one bit that it reports as ``reset_cause``; that value
    is the number of the bit, except for RESETPIN, which it reports as 0. The other bits are
    cleared here, because they accumulate until software clears them.
    """
    others = mem32[_RESETREAS]
    mem32[_RESETREAS] = others
    cause = machine.reset_cause()
    return others | 1 << cause if cause else others


def mark(value):
    """Store a byte that survives only a software reset (GPREGRET, 5.3.7.14)."""
    mem32[_GPREGRET] = value


def marked():
    """Return the byte that ``mark`` stored."""
    return mem32[_GPREGRET] & 0xFF


def vbus():
    """Return whether VBUS is powered (USBREGSTATUS, 5.3.7.12)."""
    return bool(mem32[_USBREGSTATUS] & _VBUSDETECT)


def device_id():
    """Return the chip's 8 bytes (FICR DEVICEID, 4.4.1)."""
    both = mem32[_DEVICEID], mem32[_DEVICEID + 4]
    return b"".join([word.to_bytes(4, "little") for word in both])


def _cnf(pin):
    return _PIN_CNF + (pin >> 5) * _PORT + (pin & 31) * 4


def drive_high(pin):
    """Let an output drive 5 mA and more instead of 1 mA (DRIVE H0H1, 6.9.2.10)."""
    mem32[_cnf(pin)] = mem32[_cnf(pin)] & ~_CNF_DRIVE | _H0H1


def sense_high(pin):
    """Let the high level of an input end System OFF (SENSE, 6.9.1)."""
    mem32[_cnf(pin)] |= _SENSE_HIGH


def system_off():
    """Enter System OFF (5.3.3). A sensed pin or power on VBUS ends it with a reset.

    With a debugger attached the CPU continues to run; the watchdog then resets it.
    """
    for latch in (_LATCH, _LATCH + _PORT):
        mem32[latch] = 0xFFFFFFFF
    mem32[_SYSTEMOFF] = 1
    while True:
        machine.lightsleep()


def microvolts(pin):
    """Return the voltage at an AIN pin, 0 to 3.6 V in microvolts, from one conversion (6.23)."""
    result = bytearray(4)
    mem32[_ADC_ENABLE] = 1
    try:
        mem32[_RESOLUTION] = _12_BIT
        mem32[_OVERSAMPLE] = 0
        mem32[_CH0_CONFIG] = _CONFIG
        mem32[_CH0_PSELN] = 0
        mem32[_CH0_PSELP] = 1 + _AIN_PINS.index(pin)
        mem32[_RESULT_PTR] = addressof(result)
        mem32[_RESULT_MAXCNT] = 1
        for task, event in (
            (_ADC_START, _EVENTS_STARTED),
            (_ADC_SAMPLE, _EVENTS_END),
            (_ADC_STOP, _EVENTS_STOPPED),
        ):
            mem32[event] = 0
            mem32[task] = 1
            _until(event, 1, 1)
    finally:
        mem32[_CH0_PSELP] = 0
        mem32[_ADC_ENABLE] = 0
    value = result[0] | result[1] << 8
    # An offset can make a voltage near ground negative.
    return 0 if value >= 0x8000 else value * _STEPS // 32
