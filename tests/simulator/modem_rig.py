"""A host's end of the modem's UART, and worlds and servers for its tests."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable
from contextlib import suppress

from coldtrail_simulator.clock import US_PER_MS, US_PER_S, Clock, rng
from coldtrail_simulator.journal import Journal
from coldtrail_simulator.models.bg95.general import Sim
from coldtrail_simulator.models.bg95.gnss import Fix
from coldtrail_simulator.models.bg95.modem import BG95, Power
from coldtrail_simulator.models.bg95.part import BG95_M3, Part
from coldtrail_simulator.models.bg95.radio import Cell
from coldtrail_simulator.network.medium import FarSide
from coldtrail_simulator.network.network import Network

EPOCH_MS = 1_800_000_000_000
FINALS = ("OK", "ERROR", "+CME ERROR", "SEND OK", "SEND FAIL")


class Places:
    """A world that is a list of (from second, cell or None)."""

    def __init__(self, *legs: tuple[float, Cell | None]) -> None:
        self.legs = legs or ((0.0, Cell()),)

    def coverage(self, t_s: float) -> Cell | None:
        return [cell for begin, cell in self.legs if begin <= t_s][-1]


class Pin:
    """A net that remembers what was driven onto it, and when."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.level: int | None = None
        self.edges: list[tuple[int, int | None]] = []

    def drive(self, level: int | None) -> None:
        if level != self.level:
            self.level = level
            self.edges.append((self.clock.now_us, level))


class Rig:
    """A modem on a bench: supply on, a host on its UART, time under the test's control."""

    baud = 115200

    def __init__(
        self,
        *,
        seed: int = 1,
        world: Places | None = None,
        part: Part = BG95_M3,
        sim: Sim | None = None,
        resolve: dict[str, tuple[str, int]] | None = None,
        far_side: FarSide | None = None,
        epoch_ms: Callable[[], int] | None = None,
        sky: Callable[[float], Fix | None] = lambda _t_s: None,
    ) -> None:
        self.clock = Clock()
        self.journal = Journal(self.clock)
        self.network = Network(
            self.clock, rng(seed, "network"), self.journal, resolve or {}, far_side
        )
        self.modem = BG95(
            self.clock,
            rng(seed, "modem"),
            self.journal,
            world or Places(),
            self.network,
            epoch_ms or (lambda: EPOCH_MS + self.clock.now_us // 1000),
            part,
            sim,
            sky,
        )
        self.sent: list[tuple[int, bytes]] = []
        self.status = Pin(self.clock)
        self.modem.uart = self
        self.modem.status = self.status
        self.modem.supply(1)
        self.wait(0.1)

    def send(self, data: bytes) -> None:
        """Take what the modem sends (it calls this)."""
        self.sent.append((self.clock.now_us, data))

    @property
    def output(self) -> bytes:
        """Everything the modem has sent since ``clear``."""
        return b"".join(data for _, data in self.sent)

    def lines(self) -> list[str]:
        """Return the output as lines, without the empty ones."""
        return [line for line in self.output.decode("latin-1").split("\r\n") if line]

    def wait(self, seconds: float) -> None:
        self.clock.advance_to(self.clock.now_us + round(seconds * US_PER_S))

    def pulse(self, seconds: float) -> None:
        """Pull PWRKEY low for so long."""
        self.modem.pwrkey(0)
        self.wait(seconds)
        self.modem.pwrkey(None)

    def on(self) -> Rig:
        """Switch on, wait for the application, and switch the echo off."""
        self.pulse(0.7)
        self.wait(8)
        assert self.modem.power is Power.ON
        self.at("ATE0")
        self.sent.clear()
        return self

    def until(self, *wanted: str, limit_s: float = 200.0) -> list[str]:
        """Wait until a line begins with one of the texts; return the lines and forget them."""
        end_us = self.clock.now_us + round(limit_s * US_PER_S)
        while not any(line.startswith(wanted) for line in self.lines()):
            assert self.clock.now_us < end_us, f"no {wanted} in {self.output!r}"
            self.clock.advance_to(self.clock.now_us + US_PER_MS)
        lines = self.lines()
        self.sent.clear()
        return lines

    def at(self, command: str, *wanted: str, limit_s: float = 200.0) -> list[str]:
        """Send a command and return the lines up to its final result code."""
        self.modem.receive(command.encode() + b"\r")
        return self.until(*(wanted or FINALS), limit_s=limit_s)

    def registered(self) -> Rig:
        """Wait until the modem is registered and knows the time."""
        end_us = self.clock.now_us + 120 * US_PER_S
        while not self.modem.radio.registered or self.modem.radio.network_time is None:
            self.wait(0.5)
            assert self.clock.now_us < end_us
        self.sent.clear()
        return self

    def active(self) -> Rig:
        """Switch on, register, and activate context 1."""
        self.on().registered()
        assert self.at('AT+QICSGP=1,1,"iot.example","","",0') == ["OK"]
        assert self.at("AT+QIACT=1") == ["OK"]
        return self

    def open(self, host: str, port: int = 1883, mode: int = 0) -> Rig:
        """Open socket 0."""
        self.at(f'AT+QIOPEN=1,0,"TCP","{host}",{port},0,{mode}')
        assert self.until("+QIOPEN") == ["+QIOPEN: 0,0"]
        return self

    def write(self, data: bytes) -> list[str]:
        """Send data over socket 0 and return the lines that answer."""
        self.modem.receive(b"AT+QISEND=0,%d\r" % len(data))
        self.until("> ")
        self.modem.receive(data)
        return self.until(*FINALS)

    def read(self, limit_s: float = 30.0) -> bytes:
        """Wait for data on socket 0 and return all of it."""
        self.until('+QIURC: "recv",0', limit_s=limit_s)
        found = b""
        while piece := self.take():
            found += piece
        return found

    def take(self) -> bytes:
        self.modem.receive(b"AT+QIRD=0,1500\r")
        while not self.output.endswith(b"\r\nOK\r\n"):
            self.wait(0.001)
        output = self.output
        self.sent.clear()
        head, _, rest = output.removeprefix(b"\r\n").partition(b"\r\n")
        size = int(head.removeprefix(b"+QIRD: "))
        return rest[:size]


class Server:
    """A real TCP server on loopback that takes everything and says nothing."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.address: tuple[str, int] = self._socket.getsockname()
        self.taken = bytearray()
        self.connections: list[socket.socket] = []
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._socket.accept()
                self.connections.append(connection)
                threading.Thread(target=self._drain, args=[connection], daemon=True).start()

    def _drain(self, connection: socket.socket) -> None:
        with suppress(OSError):
            while data := connection.recv(4096):
                self.taken += data

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        for connection in self.connections:
            connection.close()


# --- MQTT packets, written down from the standard, not with the code under test


def string(text: str) -> bytes:
    return struct.pack(">H", len(text.encode())) + text.encode()


def mqtt_packet(head: int, body: bytes) -> bytes:
    size, length = len(body), b""
    while True:
        size, low = divmod(size, 128)
        length += bytes([low | (0x80 if size else 0)])
        if not size:
            return bytes([head]) + length + body


def connect(client: str, keep_alive: int = 0) -> bytes:
    body = string("MQTT") + bytes([4, 2]) + struct.pack(">H", keep_alive) + string(client)
    return mqtt_packet(0x10, body)


def subscribe(number: int, topic: str, qos: int = 0) -> bytes:
    return mqtt_packet(0x82, struct.pack(">H", number) + string(topic) + bytes([qos]))


def publish(topic: str, payload: bytes, number: int = 0, *, retain: bool = False) -> bytes:
    ident = struct.pack(">H", number) if number else b""
    head = 0x30 | (2 if number else 0) | int(retain)
    return mqtt_packet(head, string(topic) + ident + payload)
