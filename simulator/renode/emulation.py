"""One run of a board with an externally emulated chip, on that chip's virtual time.

The chip executes the firmware as machine code in an emulator. The other parts of the board are the
simulator's models, wired as in the board file. Emulator and board communicate over one loopback
connection with the protocol described in ``bench``.
"""

from __future__ import annotations

import random
import struct
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self, TypeVar

from coldtrail_simulator.board import file as boards
from coldtrail_simulator.board import wiring
from coldtrail_simulator.board.wiring import Bench, Factory, Surroundings
from coldtrail_simulator.clock import NEVER, Clock, RunInvalidError
from coldtrail_simulator.journal import Journal
from coldtrail_simulator.models.panel import Cable
from coldtrail_simulator.renode.bench import (
    POWERED,
    REPLY,
    VBUS,
    VERSION,
    BenchOp,
    ProtocolError,
    Server,
)
from coldtrail_simulator.renode.edge import NAK, ChipEdge
from coldtrail_simulator.wires import Net

CONNECT_LIMIT_S = 60.0
"""Real seconds to wait for an emulator to connect."""
SILENCE_LIMIT_S = 60.0
"""Real seconds without a request after which an emulator counts as stopped."""
CALL_LIMIT_S = 60.0
LOOK_S = 0.02
WORKING_US = 20_000
"""A working chip usually accesses a bus at least this often."""
STALLED = 1
"""Status of an SPI transfer that never ends."""

REASONS = {
    0x1: "reset pin",
    0x2: "watchdog",
    0x4: "reset",
    0x8: "lock-up",
    0x10000: "system off",
    0x100000: "vbus",
}
"""Bits of RESETREAS with their names in the journal; no bit means power-on."""

T = TypeVar("T")


class Emulation:
    """A tracker in its world, with an externally emulated chip.

    It has the attributes of a ``Simulation``: ``clock``, ``journal``, ``rng``, ``parts``. They
    belong to the thread that serves the emulator; other threads must access them through ``do``.

    ``port`` is the port for the emulator. ``join_uart`` connects the part on UART 0 with the
    emulator's TCP port.

    Args:
        board: the constants of a board file, as ``board.load`` returns them.
        world: the quantities that the sensors measure.
        seed: determines all random choices.
        out: folder for ``journal.jsonl``, or None.
        factories: create parts in addition to or instead of ``wiring.FACTORIES``.

    Raises:
        BoardFileError: the board cannot be wired.
    """

    def __init__(
        self,
        board: Mapping[str, Any],
        world: Surroundings,
        *,
        seed: int = 1,
        out: Path | None = None,
        factories: Mapping[str, Factory] | None = None,
    ) -> None:
        boards.check(board)
        self.clock = Clock()
        self.journal = Journal(self.clock, out / "journal.jsonl" if out else None)
        self._bench = Bench(self.clock, self.journal, world, seed)
        self.chip = ChipEdge(self.clock, self.rng("chip"))
        self.parts = wiring.build(board, self.chip, self._bench, factories or {})
        # VBUS is a pin of the chip's regulator and not a GPIO.
        self._vbus = Net("VBUS")
        self.parts["vbus"] = Cable(self.journal, self._vbus.attach("vbus"))
        self._switched = {name for name, entry in boards.parts(board).items() if "supply" in entry}
        for uart in self.chip.uarts.values():
            uart.write = self._to_chip
        self.powered = False
        self.off = False
        """Whether the chip is in System OFF."""
        self.on_nvmc: Callable[[str, int, int], object] = lambda *_: None
        """Called when a "write" or "erase" of the chip's flash starts (address, us)."""
        self._until_us = 0
        self._greeted = False
        self._worked_us = -WORKING_US
        self._hangs = False
        self._outages = self._told = 0
        self._heard_s = time.monotonic()
        self._ops: dict[int, Callable[[int, int, bytes], tuple[int, bytes]]] = {
            op: getattr(self, f"_do_{op.name.lower()}") for op in BenchOp
        }
        self._server = Server(self)
        self.port = self._server.port

    def rng(self, name: str) -> random.Random:
        """Return the random number generator of one part of the run."""
        return self._bench.rng(name)

    # --- from any thread

    def do(self, fn: Callable[[], T]) -> T:
        """Call ``fn`` between two requests of the emulator and return its result.

        Raises:
            RunInvalidError: the server has ended. Exceptions of ``fn`` are passed on.
        """
        if self._server.is_own_thread:
            return fn()
        result: list[T] = []
        errors: list[BaseException] = []
        finished = threading.Event()

        def call() -> None:
            try:
                result.append(fn())
            except BaseException as error:  # noqa: BLE001 -- raised in the calling thread
                errors.append(error)
            finally:
                finished.set()

        self.check()
        self._server.call(call)
        deadline = time.monotonic() + CALL_LIMIT_S
        while not finished.wait(LOOK_S):
            if self._server.done.is_set() and not finished.wait(LOOK_S):
                self.check()
                raise RunInvalidError("The emulation is closed.")
            if time.monotonic() > deadline:
                raise RunInvalidError(f"The board has not answered in {CALL_LIMIT_S:.0f} s.")
        if errors:
            raise errors[0]
        return result[0]

    def power_on(self) -> None:
        """Insert the battery."""
        self.do(self._power_on)

    def power_off(self) -> None:
        """Remove the battery at any moment."""
        self.do(self._power_off)

    def power_cut(self, us: int) -> None:
        """Remove the battery and insert it after ``us``."""

        def cut() -> None:
            self.clock.call_after(us, self._power_on)
            self._power_off()

        self.do(cut)

    def plug(self) -> None:
        """Plug the cable in."""
        self.do(self.parts["vbus"].plug)

    def unplug(self) -> None:
        """Pull the cable."""
        self.do(self.parts["vbus"].unplug)

    def join_uart(self, port: int, limit_s: float = 10.0) -> None:
        """Connect the part on UART 0 with the emulator's TCP port.

        Raises:
            RunInvalidError: the port does not accept the connection.
        """
        self._server.join_uart(port, limit_s)

    def await_emulator(self, limit_s: float = CONNECT_LIMIT_S) -> None:
        """Wait until an emulator has connected.

        Raises:
            RunInvalidError: no emulator has connected within the limit.
        """
        if not self._server.connected.wait(limit_s):
            raise RunInvalidError(
                f"No emulator has connected to port {self.port} in {limit_s:.0f} s."
            )
        self._heard_s = time.monotonic()

    @property
    def awake(self) -> bool:
        """Whether the firmware is working, judged by its use of the SPI bus."""
        return self.powered and self.clock.now_us - self._worked_us < WORKING_US

    def hang(self) -> None:
        """Let the firmware wait endlessly at its next SPI transfer."""

        def fail() -> None:
            self._hangs = True

        self.do(fail)

    def run(self, until_us: int, silence_s: float = SILENCE_LIMIT_S) -> None:
        """Advance the emulator's virtual time to ``until_us``, where it stops.

        ``silence_s``: real seconds without a request after which the run is invalid.

        Raises:
            RunInvalidError: the emulator has ended, has stopped or has never connected.
        """
        self.await_emulator()
        self._let_pass(until_us)
        while self.clock.now_us < until_us:
            self.check()
            if time.monotonic() - self._heard_s > silence_s:
                raise RunInvalidError(
                    f"The emulator has asked nothing for {silence_s:g} s of real time."
                )
            if self._server.done.wait(LOOK_S):
                self.check()
                raise RunInvalidError("The emulation is closed.")

    def release(self) -> None:
        """Let virtual time run freely from now on.

        This must precede any command to the emulator itself, because an emulator that waits for a
        reply executes no commands.
        """
        self._let_pass(NEVER)

    def _let_pass(self, until_us: int) -> None:
        def let() -> None:
            self._until_us = until_us
            if not self.holds:
                self._server.go_on()

        self.do(let)

    def check(self) -> None:
        """Raise the reason if the run is no longer valid."""
        if self._server.failure:
            raise self._server.failure

    def close(self) -> None:
        """Release the emulator and close every file; a second call has no effect."""
        self._server.close()
        self.journal.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- power, in the server's thread

    def _power_on(self) -> None:
        if self.powered:
            return
        self.powered = True
        for name, part in self.parts.items():
            if name not in self._switched and hasattr(part, "power_on"):
                part.power_on()
        self.journal.note("power-on")

    def _power_off(self) -> None:
        if not self.powered:
            return
        self.powered = False
        self._outages += 1
        # The parts first: changes of the chip's pins during a power loss must not reach them.
        for part in self.parts.values():
            if hasattr(part, "power_off"):
                part.power_off()
        self.chip.let_go()
        self.journal.note("power-off")

    def _to_chip(self, data: bytes) -> None:
        if self.powered:
            self._server.send_uart(data)

    # --- requests, in the server's thread

    def received(self, data: bytes) -> None:
        """Pass bytes from the chip to the part on its UART."""
        if self.powered:
            self.chip.uarts[0].receive(data)

    @property
    def holds(self) -> bool:
        """Whether the emulator has reached the time limit of ``run``."""
        return self.clock.now_us >= self._until_us and self._greeted

    def request(
        self, op: int, unit: int, argument: int, now_us: int, data: bytes
    ) -> tuple[int, bytes]:
        """Move to the emulator's time, do one operation and return (status, bytes).

        Raises:
            ProtocolError: the operation is unknown, or its bytes are malformed.
        """
        clock = self.clock
        handler = self._ops.get(op)
        if handler is None or now_us >= NEVER:
            raise ProtocolError(f"The emulator asks for operation {op} at {now_us} us.")
        self._heard_s = time.monotonic()
        clock.advance_to(now_us)
        try:
            # Ignore requests of a chip that has lost its supply since the last reply.
            told = op == BenchOp.HELLO or self._told == self._outages
            answer = handler(unit, argument, data) if told else (NAK, b"")
        except (struct.error, IndexError, KeyError) as error:
            raise ProtocolError(
                f"The emulator's operation {BenchOp(op).name} has not its form: {error!r}."
            ) from error
        # A new connection may proceed to the point where its time starts.
        self._greeted = op != BenchOp.HELLO
        return answer

    def reply(self, status: int, answer: bytes) -> bytes:
        """Return the reply with the present supply and pin levels."""
        self._told = self._outages
        flags = (POWERED if self.powered else 0) | (VBUS if self._vbus.level else 0)
        return (
            REPLY.pack(
                status,
                flags,
                self._outages & 0xFFFF,
                len(answer),
                min(self.clock.next_us, NEVER),
                self.chip.levels,
            )
            + answer
        )

    def _do_hello(self, unit: int, argument: int, data: bytes) -> tuple[int, bytes]:
        del unit, data
        if argument != VERSION:
            raise ProtocolError(
                f"The emulator's models speak version {argument} of the bench protocol, "
                f"not {VERSION}: load those of this release."
            )
        return 0, b""

    def _do_tick(self, unit: int, argument: int, data: bytes) -> tuple[int, bytes]:
        del unit, argument, data
        return 0, b""

    def _do_pins(self, unit: int, argument: int, data: bytes) -> tuple[int, bytes]:
        del argument
        low, high, up, down = struct.unpack("<4I", data)
        if self.powered:
            self.chip.drive(unit, low, high, up, down)
        return 0, b""

    def _do_i2c_start(self, unit: int, argument: int, data: bytes) -> tuple[int, bytes]:
        del argument
        scl, sda, address = struct.unpack("<3B", data)
        return self.chip.i2c_start(unit, (scl, sda), address >> 1, read=bool(address & 1))

    def _do_i2c_write(self, unit: int, argument: int, data: bytes) -> tuple[int, bytes]:
        del argument
        return self.chip.transfers(unit).write(data), b""

    def _do_i2c_next(self, unit: int, argument: int, data: bytes) -> tuple[int, bytes]:
        del argument, data
        return 0, self.chip.transfers(unit).next()

    def _do_i2c_stop(self, unit: int, argument: int, data: bytes) -> tuple[int, bytes]:
        del argument, data
        self.chip.transfers(unit).stop()
        return 0, b""

    def _do_spi(self, unit: int, argument: int, data: bytes) -> tuple[int, bytes]:
        sck, mosi, miso = struct.unpack_from("<3B", data)
        self._worked_us = self.clock.now_us
        if self._hangs:
            self._hangs = False
            self.journal.note("hung", how="waits for an SPI transfer that never ends")
            return STALLED, bytes(len(data) - 3)
        return 0, self.chip.spi_transfer((sck, mosi, miso), unit, argument, data[3:])

    def _do_adc(self, unit: int, argument: int, data: bytes) -> tuple[int, bytes]:
        return 0, struct.pack("<H", self.chip.convert(unit, argument, data[0]))

    def _do_baud(self, unit: int, argument: int, data: bytes) -> tuple[int, bytes]:
        del data
        self.chip.uarts[unit].baud = argument
        return 0, b""

    def _do_reset(self, unit: int, argument: int, data: bytes) -> tuple[int, bytes]:
        del unit, data
        self.off = False
        causes = [name for bit, name in REASONS.items() if argument & bit]
        self.journal.note("boot", cause=" and ".join(causes) or "power-on")
        return 0, b""

    def _do_off(self, unit: int, argument: int, data: bytes) -> tuple[int, bytes]:
        del unit, argument, data
        self.off = True
        self.journal.note("system-off")
        return 0, b""

    def _do_nvmc(self, unit: int, argument: int, data: bytes) -> tuple[int, bytes]:
        (us,) = struct.unpack("<I", data)
        self.on_nvmc("erase" if unit == 2 else "write", argument, us)
        return 0, b""
