"""The ESP32's pins, ADC and buses, with the requests of its MicroPython port.

Sources as in chip.py, which contains what they share: time, waits, interrupts, resets.
"""
# ruff: noqa: ARG002 -- every request handler has the one signature the dispatch table calls.

from __future__ import annotations

import random
from collections.abc import Callable

from coldtrail_simulator.clock import Clock, RunInvalidError
from coldtrail_simulator.esp32.pads import ADC_PINS, INPUT_ONLY_PINS, PINS, Pin
from coldtrail_simulator.wires import UART, Analog, I2CBus, Net, SPIBus

UART_NUMBERS = (0, 1, 2)
DEFAULT_SPI = {1: (14, 13, 12), 2: (18, 23, 19)}
DEFAULT_I2C = {0: (18, 19), 1: (25, 26)}
DEFAULT_UART = {0: (1, 3), 1: (10, 9), 2: (17, 16)}
# Full scale in mV per attenuation (ADC characteristics), 12 bits.
ADC_FULL_MV = (950, 1250, 1750, 2450)


class _NoReply:
    """Type of LATER: the request is answered later, or never."""


LATER = _NoReply()
Answer = int | bytes | _NoReply
Handler = Callable[[int, int, bytes], Answer]


class Peripherals:
    """The connections of the board. The ``do_...`` methods answer the requests of ``protocol.Op``.

    Args:
        edge: called with the pin number and the new level after a change of level.
    """

    def __init__(
        self, clock: Clock, rng: random.Random, edge: Callable[[int, int | None], object]
    ) -> None:
        self._clock = clock
        self._rng = rng
        self.nets: dict[int, Net] = {n: Net(f"gpio{n}") for n in sorted(PINS)}
        self.pins = {n: Pin(n, net) for n, net in self.nets.items()}
        for number, pin in self.pins.items():
            pin.terminal.listener = lambda level, number=number: edge(number, level)
        self.analog: dict[int, Analog] = {}
        self.i2c: dict[tuple[int, int], I2CBus] = {}
        """I2C buses by their pins scl, sda."""
        self.spi: dict[tuple[int, int, int], SPIBus] = {}
        """SPI buses by their pins sck, mosi, miso."""
        self.uarts = {number: UART(clock) for number in UART_NUMBERS}
        self.uart_pins: dict[int, tuple[int, int]] = {}
        self._release()

    def _release(self) -> None:
        self._adc: dict[int, int] = {}
        self._i2c_now: dict[int, I2CBus] = {}
        self._spi_now: dict[int, SPIBus] = {}

    def forget(self) -> None:
        """Clear everything that a reset clears."""
        self._release()
        for uart in self.uarts.values():
            uart.close()
        for pin in self.pins.values():
            pin.forget()
            pin.settle()

    # --- pins ------------------------------------------------------------------------------

    def _pin(self, number: int) -> Pin:
        pin = self.pins.get(number)
        if pin is None:
            raise RunInvalidError(f"The firmware uses pin {number}, which the chip does not have.")
        return pin

    def do_pin_init(self, unit: int, argument: int, data: bytes) -> Answer:
        pin = self._pin(unit)
        mode, pull, value, hold = (argument >> s & 15 for s in (0, 4, 8, 12))
        if mode & 2 and unit in INPUT_ONLY_PINS:
            return 1
        if value:
            pin.out = value - 1
        if mode:
            pin.mode = mode
        if pull:
            pin.pull = pull - 1
        if hold:
            pin.held = False
        pin.settle()
        if hold == 2:
            pin.held = True
        return 0

    def do_pin_get(self, unit: int, argument: int, data: bytes) -> Answer:
        level = self._pin(unit).terminal.level
        return self._rng.getrandbits(1) if level is None else level

    def do_pin_set(self, unit: int, argument: int, data: bytes) -> Answer:
        pin = self._pin(unit)
        pin.out = 1 - pin.out if argument == 2 else argument
        pin.settle()
        return 0

    def do_pin_irq(self, unit: int, argument: int, data: bytes) -> Answer:
        self._pin(unit).irq = argument
        return 0

    # --- ADC -------------------------------------------------------------------------------

    def do_adc_init(self, unit: int, argument: int, data: bytes) -> Answer:
        if unit not in ADC_PINS:
            return 1
        self._adc[unit] = argument
        return 0

    def _adc_code(self, pin: int) -> tuple[int, int]:
        full = ADC_FULL_MV[self._adc.get(pin, 3)]
        source = self.analog.get(pin)
        volts = source.volts() if source else self._rng.uniform(0, 1)
        # The effective number of bits is about 9, so the noise is two or three counts.
        code = round(volts * 1000 / full * 4095 + self._rng.gauss(0, 2.5))
        return max(0, min(4095, code)), full

    def do_adc_raw(self, unit: int, argument: int, data: bytes) -> Answer:
        return self._adc_code(unit)[0]

    def do_adc_uv(self, unit: int, argument: int, data: bytes) -> Answer:
        code, full = self._adc_code(unit)
        microvolts = code * full // 4095 * 1000  # the port's calibration gives whole millivolts
        if unit in self.analog:
            self.analog[unit].given(microvolts)
        return microvolts

    # --- buses -----------------------------------------------------------------------------

    def do_i2c_init(self, unit: int, argument: int, data: bytes) -> Answer:
        scl, sda = data[0], data[1]
        pins = DEFAULT_I2C.get(unit, (0, 0)) if 255 in (scl, sda) else (scl, sda)
        # A bus on pins without a connection works but finds no part.
        bus = self._i2c_now[unit] = self.i2c.get(pins) or I2CBus(self._clock)
        bus.freq = argument
        bus.timeout_us = int.from_bytes(data[2:6], "little")
        return 0

    def do_i2c_write(self, unit: int, argument: int, data: bytes) -> Answer:
        return self._i2c_now[unit >> 7].write(unit & 127, data)

    def do_i2c_read(self, unit: int, argument: int, data: bytes) -> Answer:
        return self._i2c_now[unit >> 7].read(unit & 127, argument)

    def do_i2c_write_read(self, unit: int, argument: int, data: bytes) -> Answer:
        bus = self._i2c_now[unit >> 7]
        return bus.write(unit & 127, data) or bus.read(unit & 127, argument)

    def do_spi_init(self, unit: int, argument: int, data: bytes) -> Answer:
        mode, sck, mosi, miso = data
        pins = (sck, mosi, miso)
        if 255 in pins:
            pins = DEFAULT_SPI.get(unit, (0, 0, 0))
        bus = self._spi_now[unit] = self.spi.get(pins) or SPIBus(self._clock)
        bus.hz, bus.mode = argument, mode
        return 0

    def do_spi_write(self, unit: int, argument: int, data: bytes) -> Answer:
        self._spi_now[unit].transfer(data)
        return 0

    def do_spi_read(self, unit: int, argument: int, data: bytes) -> Answer:
        return self._spi_now[unit].transfer(bytes((argument >> 16,)) * (argument & 0xFFFF))

    def do_spi_both(self, unit: int, argument: int, data: bytes) -> Answer:
        return self._spi_now[unit].transfer(data)

    def do_uart_init(self, unit: int, argument: int, data: bytes) -> Answer:
        uart = self.uarts[unit]
        if not argument:
            uart.close()
            return 0
        pins = (data[0], data[1])
        if 255 in pins:
            pins = DEFAULT_UART[unit]
        if self.uart_pins.get(unit, pins) != pins:
            raise RunInvalidError(
                f"The firmware opens UART {unit} on pins the board has elsewhere."
            )
        txbuf, rxbuf, timeout = (int.from_bytes(data[i : i + 2], "little") for i in (2, 4, 6))
        uart.open(argument, txbuf, rxbuf, timeout)
        return 0

    def do_uart_any(self, unit: int, argument: int, data: bytes) -> Answer:
        return len(self.uarts[unit].received)

    def do_uart_read(self, unit: int, argument: int, data: bytes) -> Answer:
        return self.uarts[unit].take(argument)

    def do_uart_line(self, unit: int, argument: int, data: bytes) -> Answer:
        uart = self.uarts[unit]
        end = uart.received.find(b"\n")
        return uart.take(end + 1 if end >= 0 else len(uart.received))

    def do_uart_write(self, unit: int, argument: int, data: bytes) -> Answer:
        self.uarts[unit].write(data)
        return 0
