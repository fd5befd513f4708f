"""The pins, buses and ADC inputs of an emulated nRF52840, connected to the board.

The chip runs elsewhere (Renode) and sends requests to this module; ``wiring.build`` connects the
parts to it. Nothing here takes virtual time: the emulated chip counts the duration of transfers.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

from coldtrail_simulator.clock import Clock
from coldtrail_simulator.wires import Analog, I2CBus, Nak, Net, SPIBus, Terminal, UARTDevice

PINS = 48
"""P0.00 to P0.31 are 0 to 31, P1.00 to P1.15 are 32 to 47."""
PORT_PINS = 32
ADC_PINS = (2, 3, 4, 5, 28, 29, 30, 31)
"""AIN0 to AIN7 (product specification, pin assignments)."""
READ_AHEAD = 64
"""Bytes that are read ahead from a part without ``stream``; more than any part sends."""
ACK, NAK, STUCK = range(3)
"""Answers of a part or of the bus."""


class TcpUart:
    """The board's end of a UART: bytes in both directions, at the rate of the emulated chip."""

    def __init__(self) -> None:
        self.device: UARTDevice | None = None
        self.baud = 0
        """Present rate of the chip in baud."""
        self.write: Callable[[bytes], object] = len
        """Sends bytes to the chip."""

    def send(self, data: bytes) -> None:
        """Send bytes from the part to the chip."""
        self.write(data)

    def receive(self, data: bytes) -> None:
        """Pass bytes from the chip to the part."""
        if self.device:
            self.device.receive(data)


class Transfers:
    """I2C transfers of a controller that handles single bytes, so lengths are unknown."""

    def __init__(self, bus: I2CBus) -> None:
        self._bus = bus
        self._address = 0
        self._reading: Iterator[int] = iter(())

    def start(self, address: int, *, read: bool) -> tuple[int, bytes]:
        """Address a part; return its answer and, for a read, the first byte."""
        self.stop()
        if self._bus.stuck:
            return STUCK, b""
        self._address = address
        device = self._bus.devices.get(address)
        if device is None:
            return NAK, b""
        try:
            if not read:
                device.write(b"")
                return ACK, b""
            stream = getattr(device, "stream", None)
            self._reading = stream() if stream else iter(device.read(READ_AHEAD))
            return ACK, self.next()
        except Nak:
            return NAK, b""

    def write(self, data: bytes) -> int:
        """Write all bytes to the addressed part; return its answer."""
        try:
            self._bus.devices[self._address].write(data)
        except (Nak, KeyError):
            return NAK
        return ACK

    def next(self) -> bytes:
        """Return the next byte of a read; a part without more data leaves SDA high."""
        return bytes((next(self._reading, 0xFF),))

    def stop(self) -> None:
        """End a read."""
        close = getattr(self._reading, "close", None)
        self._reading = iter(())
        if close:
            close()


class ChipEdge:
    """Pins, buses and analog inputs of the chip for the parts of the board.

    ``wiring.build`` fills ``i2c``, ``spi``, ``uart_pins`` and ``analog``.
    """

    def __init__(self, clock: Clock, rng: random.Random) -> None:
        self._clock = clock
        self._rng = rng
        self.nets: dict[int, Net] = {n: Net(_name(n)) for n in range(PINS)}
        self.analog: dict[int, Analog] = {}
        self.i2c: dict[tuple[int, int], I2CBus] = {}
        """I2C buses by their pins scl, sda."""
        self.spi: dict[tuple[int, int, int], SPIBus] = {}
        """SPI buses by their pins sck, mosi, miso."""
        self.uarts: dict[int, TcpUart] = {0: TcpUart()}
        self.uart_pins: dict[int, tuple[int, int]] = {}
        self._high = 0
        self._floating = (1 << PINS) - 1
        self._terminals: list[Terminal] = []
        for number, net in self.nets.items():
            terminal = net.attach("chip")
            terminal.listener = lambda level, number=number: self._edge(number, level)
            self._terminals.append(terminal)
        self._transfers: dict[int, Transfers] = {}

    def _edge(self, number: int, level: int | None) -> None:
        bit = 1 << number
        self._high &= ~bit
        self._floating &= ~bit
        if level is None:
            self._floating |= bit
        elif level:
            self._high |= bit

    @property
    def levels(self) -> int:
        """Levels at all pins as a bit mask; a floating pin has a random level."""
        return self._high | self._floating & self._rng.getrandbits(PINS)

    def drive(self, port: int, low: int, high: int, up: int, down: int) -> None:
        """Apply the outputs and pulls of a port's pins, as bit masks, to their nets."""
        for n in range(port * PORT_PINS, min((port + 1) * PORT_PINS, PINS)):
            bit = 1 << n - port * PORT_PINS
            terminal = self._terminals[n]
            terminal.drive(0 if low & bit else 1 if high & bit else None)
            terminal.pull(1 if up & bit else 0 if down & bit else None)

    def let_go(self) -> None:
        """Release all pins, as a chip without supply does."""
        for port in (0, 1):
            self.drive(port, 0, 0, 0, 0)
        for transfers in self._transfers.values():
            transfers.stop()

    def i2c_start(
        self, unit: int, pins: tuple[int, int], address: int, *, read: bool
    ) -> tuple[int, bytes]:
        """Address a part on the bus at these pins; without a bus no part answers."""
        bus = self.i2c.get(pins) or I2CBus(self._clock)
        if unit in self._transfers:
            self._transfers[unit].stop()
        self._transfers[unit] = Transfers(bus)
        return self._transfers[unit].start(address, read=read)

    def transfers(self, unit: int) -> Transfers:
        """Return the transfers of a controller."""
        return self._transfers.setdefault(unit, Transfers(I2CBus(self._clock)))

    def spi_transfer(self, pins: tuple[int, int, int], mode: int, hz: int, out: bytes) -> bytes:
        """Transfer bytes on the bus at these pins; without a part the line stays high."""
        bus = self.spi.get(pins) or SPIBus(self._clock)
        bus.mode, bus.hz = mode, hz
        return bus.transfer(out)

    def convert(self, pin: int, full_uv: int, bits: int) -> int:
        """Return the code of one single-ended conversion, and inform the part of its meaning."""
        source = self.analog.get(pin)
        volts = source.volts() if source else self._rng.uniform(0, full_uv / 1e6)
        top = (1 << bits) - 1
        # The effective number of bits is 9 to 10 (product specification, SAADC electrical).
        noise = self._rng.gauss(0, (1 << bits) / 3000)
        code = max(0, min(top, round(volts * 1e6 / full_uv * (1 << bits) + noise)))
        if source:
            source.given(code * full_uv >> bits)
        return code


def _name(n: int) -> str:
    return f"P{n // PORT_PINS}.{n % PORT_PINS:02}"
