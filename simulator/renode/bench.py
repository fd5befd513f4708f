"""The bench protocol between an emulated chip and the board around it.

The emulator (Renode, with the models in ``boards/nrf52840dk_bg95/renode``) is the client and
connects to a loopback TCP port. It sends a request and waits for the reply. Only one request is
pending at a time, so the chip waits while the board is busy, for example with an answer of a
broker. Numbers are little-endian:

    request  u8 operation, u8 unit, u16 length, u32 argument, u64 now, then `length` bytes
    reply    u8 status, u8 flags, u16 outages, u16 length, u16 0, u64 due, u64 levels, then
             `length` bytes

``now`` is the emulator's virtual time in microseconds. The board's clock moves to it before the
operation. ``due`` is the time of the board's next event. The chip sends a TICK then, or after
TICK_US at the latest, so that pins and power of the board change at the right time while the chip
sleeps. ``levels`` has one bit for each pin, P0.00 first: the level at an input. In ``flags``, bit
0 means that the chip has supply, bit 1 that VBUS has 5 V. ``outages`` counts losses of supply
(modulo 65536). After a change of ``outages`` the chip has lost all registers and RAM, even if the
outage was short.

    operation  unit, argument, bytes                        status, bytes of the reply
    HELLO      0, VERSION                                   0
    TICK       0, 0                                         0
    PINS       port, 0, u32 masks: drives low, drives high, 0
               pulls up, pulls down
    I2C_START  controller, Hz, u8 scl, sda, address << 1 |  0 acknowledged, 1 not, 2 SDA is held;
               read                                         the first byte of a read
    I2C_WRITE  controller, 0, all bytes of a write          0, 1
    I2C_NEXT   controller, 0                                0; the next byte of a read
    I2C_STOP   controller, 0                                0
    SPI        mode 0..3, Hz, u8 sck, mosi, miso, bytes out 0, 1 it never ends; as many bytes in
    ADC        pin, full scale in uV, u8 bits               0; u16 code
    BAUD       UART, baud                                   0
    RESET      0, RESETREAS that the firmware will find     0
    OFF        0, 0: the chip has entered System OFF        0
    NVMC       1 write, 2 erase, address; u32 duration in us 0
"""

from __future__ import annotations

import enum
import selectors
import socket
import struct
import threading
from collections.abc import Callable
from typing import Protocol

from coldtrail_simulator.clock import RunInvalidError

VERSION = 1
REQUEST = struct.Struct("<BBHIQ")
REPLY = struct.Struct("<BBHHxxQQ")
TICK_US = 10_000
POWERED, VBUS = 1, 2
"""Bits in the flags of a reply."""
SEND_LIMIT_S = 20.0
"""Seconds after which a peer that accepts no bytes counts as gone."""


class BenchOp(enum.IntEnum):
    """Operations; Bench.cs uses the same numbers."""

    HELLO = 0
    TICK = 1
    PINS = 2
    I2C_START = 3
    I2C_WRITE = 4
    I2C_NEXT = 5
    I2C_STOP = 6
    SPI = 7
    ADC = 8
    BAUD = 9
    RESET = 10
    OFF = 11
    NVMC = 12


class ProtocolError(RunInvalidError):
    """The received bytes are not a valid request; the message describes them."""


class Board(Protocol):
    """Answers the requests; all calls come from the server's thread."""

    def request(
        self, op: int, unit: int, argument: int, now_us: int, data: bytes
    ) -> tuple[int, bytes]:
        """Do an operation; return (status, bytes of the reply)."""

    def reply(self, status: int, answer: bytes) -> bytes:
        """Return the complete reply with the present state."""

    @property
    def holds(self) -> bool:
        """Whether the emulator must wait for its reply until ``go_on``."""

    def received(self, data: bytes) -> None:
        """Take bytes from the chip's UART."""


class Server:
    """Serves one emulator in its own thread.

    ``done`` is set when the server has ended. ``failure`` is then the reason, unless it was
    closed.
    """

    def __init__(self, board: Board) -> None:
        self._board = board
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._wake, self._waker = socket.socketpair()
        self._selector = selectors.DefaultSelector()
        self._calls: list[Callable[[], object]] = []
        self._lock = threading.Lock()
        self._bench: socket.socket | None = None
        self._uart: socket.socket | None = None
        self._pending = bytearray()
        self._held: tuple[int, bytes] | None = None
        self.connected = threading.Event()
        self.done = threading.Event()
        self.failure: RunInvalidError | None = None
        self._closing = False
        self._selector.register(self._listener, selectors.EVENT_READ, self._accept)
        self._selector.register(self._wake, selectors.EVENT_READ, self._run_calls)
        self._thread = threading.Thread(target=self._serve, name="bench", daemon=True)
        self._thread.start()

    @property
    def is_own_thread(self) -> bool:
        """Whether the caller is the server's thread."""
        return threading.current_thread() is self._thread

    def call(self, fn: Callable[[], object]) -> None:
        """Call ``fn`` between two requests, in the server's thread."""
        with self._lock:
            self._calls.append(fn)
        self._waker.send(b"!")

    def join_uart(self, port: int, limit_s: float) -> None:
        """Connect to the TCP port of the chip's UART.

        Raises:
            RunInvalidError: the port does not accept the connection.
        """
        try:
            uart = socket.create_connection(("127.0.0.1", port), limit_s)
        except OSError as error:
            raise RunInvalidError(f"UART port {port} cannot be reached: {error}.") from error
        uart.settimeout(SEND_LIMIT_S)
        uart.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

        def joined() -> None:
            self._leave_uart()
            self._uart = uart
            self._selector.register(uart, selectors.EVENT_READ, lambda: self._hear(uart))

        self.call(joined)

    def send_uart(self, data: bytes) -> bool:
        """Send bytes to the chip's UART; return whether it is connected."""
        if self._uart is None:
            return False
        try:
            self._uart.sendall(data)
        except OSError:
            self._leave_uart()
            return False
        return True

    def close(self) -> None:
        """Stop serving; a second call has no effect."""
        if not self._closing:
            self._closing = True
            self.call(lambda: None)
            if not self.is_own_thread:
                self._thread.join(SEND_LIMIT_S)

    # --- in the server's thread

    def _serve(self) -> None:
        try:
            while not self._closing:
                for key, _ in self._selector.select():
                    key.data()
        except RunInvalidError as error:
            self.failure = error
        except Exception as error:  # noqa: BLE001 -- raised where the test waits
            self.failure = RunInvalidError(f"The board has failed: {error!r}.")
            self.failure.__cause__ = error
        finally:
            self.done.set()
            self._run_calls()
            for peer in (self._bench, self._uart, self._listener):
                if peer:
                    peer.close()
            self._selector.close()

    def _run_calls(self) -> None:
        if not self.done.is_set():
            self._wake.recv(4096)
        with self._lock:
            calls, self._calls = self._calls, []
        for call in calls:
            call()

    def _accept(self) -> None:
        peer, _ = self._listener.accept()
        if self._bench:
            peer.close()
            return
        peer.settimeout(SEND_LIMIT_S)
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._bench = peer
        self._selector.register(peer, selectors.EVENT_READ, lambda: self._listen(peer))
        self.connected.set()

    def _listen(self, peer: socket.socket) -> None:
        try:
            data = peer.recv(1 << 16)
        except OSError as error:
            raise RunInvalidError(f"The emulator is gone: {error}.") from error
        if not data:
            raise RunInvalidError("The emulator is gone: it has closed the connection.")
        pending = self._pending
        pending += data
        while len(pending) >= REQUEST.size:
            op, unit, length, argument, now_us = REQUEST.unpack_from(pending)
            end = REQUEST.size + length
            if len(pending) < end:
                return
            body = bytes(pending[REQUEST.size : end])
            del pending[:end]
            self._held = self._board.request(op, unit, argument, now_us, body)
            if not self._board.holds:
                self.go_on()

    def go_on(self) -> None:
        """Send the reply that the emulator waits for, if there is one."""
        held, self._held = self._held, None
        if held and self._bench:
            try:
                self._bench.sendall(self._board.reply(*held))
            except OSError as error:
                raise RunInvalidError(f"The emulator is gone: {error}.") from error

    def _hear(self, peer: socket.socket) -> None:
        try:
            data = peer.recv(1 << 12)
        except OSError:
            data = b""
        if data:
            self._board.received(data)
        else:
            self._leave_uart()

    def _leave_uart(self) -> None:
        if self._uart:
            self._selector.unregister(self._uart)
            self._uart.close()
            self._uart = None
