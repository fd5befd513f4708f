"""The connections between chip and parts: nets, their terminals, and buses."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Protocol

from coldtrail_simulator.clock import US_PER_MS, US_PER_S, Clock, Handle

ENODEV = 19
ETIMEDOUT = 110


class Nak(Exception):
    """An I2C device does not acknowledge."""


class I2CDevice(Protocol):
    """A part on an I2C bus."""

    address: int

    def write(self, data: bytes) -> None:
        """Take one write transfer, empty for the address alone; raise Nak to reject it."""

    def read(self, n: int) -> bytes:
        """Return exactly ``n`` bytes for one read transfer; raise Nak to reject it."""


class SPIDevice(Protocol):
    """A part on an SPI bus with its own select line."""

    modes: tuple[int, ...]
    max_hz: int

    def select(self) -> None:
        """Chip select goes low."""

    def transfer(self, out: bytes) -> bytes:
        """Take bytes and return as many; a transaction may have several calls."""

    def deselect(self) -> None:
        """Chip select goes high."""


class UARTDevice(Protocol):
    """A part on a UART."""

    def receive(self, data: bytes) -> None:
        """Take bytes from the controller at the time when their last bit has arrived."""


class Analog(Protocol):
    """A voltage source at an ADC pin."""

    def volts(self) -> float:
        """Return the present voltage at the pin."""

    def given(self, microvolts: int) -> None:
        """Note the reading that the firmware received."""


class Terminal:
    """One part's connection to a net."""

    __slots__ = ("_net", "_out", "_pull", "listener", "name")

    def __init__(self, net: Net, name: str) -> None:
        self._net = net
        self.name = name
        self._out: int | None = None
        self._pull: int | None = None
        self.listener: Callable[[int | None], object] | None = None
        """Called with the new level after any terminal has changed it."""

    @property
    def level(self) -> int | None:
        """Level of the net: 0, 1, or None while it floats."""
        return self._net.level

    def drive(self, level: int | None) -> None:
        """Drive the net; None stops driving it."""
        if level != self._out:
            self._out = level
            self._net.settle()

    def pull(self, level: int | None) -> None:
        """Pull the net weakly up or down; None removes the pull."""
        if level != self._pull:
            self._pull = level
            self._net.settle()


class Net:
    """A wire: outputs override pulls, a low output overrides a high one; otherwise it floats."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.level: int | None = None
        self.terminals: list[Terminal] = []

    def attach(self, name: str) -> Terminal:
        """Return a new connection to this net."""
        terminal = Terminal(self, name)
        self.terminals.append(terminal)
        return terminal

    def settle(self) -> None:
        """Compute the level and call the listeners if it has changed."""
        outputs = [t._out for t in self.terminals if t._out is not None]
        pulls = [t._pull for t in self.terminals if t._pull is not None]
        level = min(outputs or pulls, default=None)
        if level != self.level:
            self.level = level
            for terminal in self.terminals:
                if terminal.listener:
                    terminal.listener(level)


class I2CBus:
    """An I2C bus with its parts; nine bits for each byte (NXP user manual UM10204)."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.devices: dict[int, I2CDevice] = {}
        self.freq = 400_000
        self.timeout_us = 50_000
        self.owed_clocks = 0
        """Fault: a part was interrupted in a byte, and holds SDA for so many clocks."""

    def attach(self, device: I2CDevice) -> None:
        """Put a part on the bus."""
        self.devices[device.address] = device

    def connect_scl(self, scl: Terminal) -> None:
        """Count clocks on the SCL line, which firmware may toggle directly, and pull it up."""
        scl.pull(1)
        scl.listener = self._clocked

    def _clocked(self, level: int | None) -> None:
        if level and self.owed_clocks:
            self.owed_clocks -= 1

    @property
    def stuck(self) -> bool:
        """Whether a part holds SDA low."""
        return self.owed_clocks > 0 or any(
            getattr(d, "holds_bus", False) for d in self.devices.values()
        )

    def _pass(self, n: int) -> bool:
        """Let the time of ``n`` bytes after the address pass; return whether the bus works."""
        stuck = self.stuck
        us = self.timeout_us if stuck else ((n + 1) * 9 + 2) * US_PER_S // self.freq + 1
        self._clock.advance_to(self._clock.now_us + us)
        return not stuck

    def write(self, address: int, data: bytes) -> int:
        """Do one write transfer; return 0 or a negated errno."""
        device = self.devices.get(address)
        if not self._pass(len(data) if device else 0):
            return -ETIMEDOUT
        try:
            if device is None:
                raise Nak
            device.write(data)
        except Nak:
            return -ENODEV
        return 0

    def read(self, address: int, n: int) -> int | bytes:
        """Do one read transfer; return its bytes or a negated errno."""
        device = self.devices.get(address)
        if not self._pass(0):
            return -ETIMEDOUT
        try:
            if device is None:
                raise Nak
            data = device.read(n)
        except Nak:
            return -ENODEV
        self._pass(n - 1)
        return data


class SPIBus:
    """An SPI bus with its parts; 8 bits for each byte, most significant bit first."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._devices: list[SPIDevice] = []
        self._selected: list[SPIDevice] = []
        self.hz = 1_000_000
        self.mode = 0

    def attach(self, device: SPIDevice, select: Terminal) -> None:
        """Put a part on the bus, selected while ``select`` is low."""

        def edge(level: int | None) -> None:
            if level == 0:
                self._selected.append(device)
                device.select()
            elif device in self._selected:
                self._selected.remove(device)
                device.deselect()

        self._devices.append(device)
        select.listener = edge

    def transfer(self, out: bytes) -> bytes:
        """Transfer bytes to and from the selected parts; scheduled calls run in between."""
        clock = self._clock
        start, hz, answer = clock.now_us, self.hz, b""
        end = start + len(out) * 8 * US_PER_S // hz + 1
        while clock.next_us <= end:
            due = clock.next_us
            done = min((due - start) * hz // (8 * US_PER_S), len(out))
            answer += self._shift(out[len(answer) : done])
            clock.advance_to(due)
        answer += self._shift(out[len(answer) :])
        clock.advance_to(end)
        return answer

    def _shift(self, out: bytes) -> bytes:
        if len(self._selected) == 1:
            device = self._selected[0]
            if out and self.mode in device.modes and self.hz <= device.max_hz:
                return device.transfer(out)
        elif self._selected:
            answers = [device.transfer(out) for device in self._selected]
            return bytes(map(min, *answers))
        return b"\xff" * len(out)


class UART:
    """The chip's end of a UART, with the buffers of the driver.

    Bytes from the part become readable in pieces of up to 120, the receive threshold of the chip's
    driver, when their last bit has arrived. Bytes that find the buffer full are lost.
    """

    PIECE = 120

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.device: UARTDevice | None = None
        self.on_data: Callable[[], object] = lambda: None
        """Called when bytes have become readable."""
        self.lost = 0
        """Bytes lost because the buffer was full or the line was not open."""
        self._rx_free_us = 0
        self._tx_free_us = 0
        self._arrivals: deque[Handle] = deque()
        self._sending: deque[Handle] = deque()
        self.received = bytearray()
        self.close()

    def open(self, baud: int, txbuf: int, rxbuf: int, timeout_ms: int) -> None:
        """Open the line; bytes that arrived before are discarded."""
        self.baud = baud
        self.byte_us = 10 * US_PER_S / baud
        # The buffer of the driver and the hardware FIFO.
        self.capacity = rxbuf + 128
        self.txbuf = txbuf + 128
        self.timeout_us = timeout_ms * US_PER_MS
        self.received.clear()

    def close(self) -> None:
        """Close the line, as a reset does: nothing more arrives in either direction."""
        self.baud = 0
        self.received.clear()
        for handle in (*self._arrivals, *self._sending):
            handle.cancel()
        self._arrivals.clear()
        self._sending.clear()
        self._rx_free_us = self._tx_free_us = 0

    def send(self, data: bytes) -> None:
        """Send bytes from the part to the chip, after those that are still being sent."""
        if not self.baud:
            self.lost += len(data)
            return
        at = max(self._rx_free_us, self._clock.now_us)
        for start in range(0, len(data), self.PIECE):
            piece = data[start : start + self.PIECE]
            at += int(len(piece) * self.byte_us) + 1
            self._arrivals.append(
                self._clock.call_at(at, lambda piece=piece: self._arrive(piece))  # type: ignore[misc]
            )
        self._rx_free_us = at

    def _arrive(self, piece: bytes) -> None:
        self._arrivals.popleft()
        room = self.capacity - len(self.received)
        self.lost += max(0, len(piece) - room)
        self.received += piece[: max(0, room)]
        self.on_data()

    def write(self, data: bytes) -> None:
        """Write from the chip; returns at the virtual time when all bytes are in the buffer."""
        if not self.baud or not data:
            return
        clock = self._clock
        at = max(self._tx_free_us, clock.now_us) + int(len(data) * self.byte_us) + 1
        self._tx_free_us = at
        self._sending.append(clock.call_at(at, lambda: self._deliver(data)))
        room_us = at - int(self.txbuf * self.byte_us)
        if room_us > clock.now_us:
            clock.advance_to(room_us)

    def _deliver(self, data: bytes) -> None:
        self._sending.popleft()
        if self.device:
            self.device.receive(data)

    @property
    def sending_us(self) -> int:
        """Microseconds until the last written bit has been sent."""
        return max(0, self._tx_free_us - self._clock.now_us)

    def take(self, n: int) -> bytes:
        """Return up to ``n`` received bytes."""
        data = bytes(self.received[:n])
        del self.received[:n]
        return data
