"""The protocol between the shims in the interpreter and the simulator.

The interpreter inherits two pipes. It sends a request and waits for the reply, so at most one
request is pending. All numbers are little-endian:

    request  u8 operation, u8 unit, u16 length, u32 argument, u32 spent, then `length` bytes
    reply    i32 value, u16 length, u8 interrupt, u8 lines, i32 ticks, u32 rest, `length` bytes

A negative value is the negated errno that the firmware's call raises. `interrupt` is the number of
the pin whose handler must run now, plus one; 0 means none. `lines` are the UARTs with received
bytes. `ticks` is the chip's `ticks_ms()` and `rest` the microseconds beyond it.

Between two requests no virtual time passes. The shims therefore answer `ticks_ms()`, and a poll
without a wait, from the last reply, and report the time that these calls took as `spent`. After a
millisecond of `spent` they make a request. An operation that never returns on the chip (deep
sleep, reset, a bus that hangs) gets no reply: the process ends.
"""

from __future__ import annotations

import enum
import struct

REQUEST = struct.Struct("<BBHII")
REPLY = struct.Struct("<iHBBiI")

ENDLESS = 0xFFFFFFFF
INTERRUPTED = 256
"""Bit in the reply to a wait: run an interrupt handler, then continue the wait with RESUME."""
CONSOLE_LINE = 8
"""Bit of the console in the lines of POLL; the bit of a UART is 1 << its number."""


class Op(enum.IntEnum):
    """Operations; the shims use the same numbers."""

    START = 0  # answered when the chip has booted; reply: its ticks_us | call_us << 16
    TICKS_MS = 1
    TICKS_US = 2
    TIME = 3
    TIME_NS = 4  # reply: 8 bytes
    SLEEP_US = 5
    SLEEP_MS = 6
    POLL = 7  # unit: lines; argument: ms or ENDLESS; reply: lines with something to read
    RESUME = 8  # continues the wait that an interrupt ended
    PIN_INIT = 9  # argument: mode | (pull + 1) << 4 | (value + 1) << 8 | (hold + 1) << 12
    PIN_GET = 10
    PIN_SET = 11  # argument: 0, 1, or 2 to toggle
    PIN_IRQ = 12  # argument: 1 rising | 2 falling
    ADC_INIT = 13  # argument: attenuation 0..3
    ADC_RAW = 14
    ADC_UV = 15
    I2C_INIT = 16  # unit: number; argument: Hz; u8 scl, u8 sda, u32 timeout in us
    I2C_WRITE = 17  # unit: number << 7 | address
    I2C_READ = 18
    I2C_WRITE_READ = 19
    SPI_INIT = 20  # argument: Hz; u8 mode, u8 sck, u8 mosi, u8 miso
    SPI_WRITE = 21
    SPI_READ = 22  # argument: length | fill << 16
    SPI_BOTH = 23
    UART_INIT = 24  # argument: baud; u8 tx, u8 rx, u16 txbuf, rxbuf, timeout, timeout_char in ms
    UART_ANY = 25
    UART_READ = 26
    UART_LINE = 27
    UART_WRITE = 28
    UART_FLUSH = 29  # argument: 1 to wait; reply: bytes still to send
    RTC_READ = 32
    RTC_WRITE = 33
    WDT_INIT = 34  # argument: ms
    WDT_FEED = 35
    DEEPSLEEP = 36  # argument: ms or ENDLESS
    LIGHTSLEEP = 37
    RESET = 38
    RESET_CAUSE = 39
    WAKE_REASON = 40
    UNIQUE_ID = 41
    FREQ = 42  # argument: Hz, 0 to ask; reply: kHz
    WAKE_PINS = 43
    EXT0 = 44  # unit: pin or 255; argument: level
    EXT1 = 45  # argument: level; bytes: pins
    HOLD = 46
    STOPPED = 47  # main.py has ended; argument: 1 with SystemExit
    URANDOM = 48
