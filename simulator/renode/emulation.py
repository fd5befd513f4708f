"""One run of a board whose chip is emulated elsewhere, on that chip's virtual time.

The chip executes the firmware as machine code in an emulator; everything on the board beside it
is the simulator's own parts, wired as the board's file says. Emulator and board talk over one
loopback connection, with the protocol described in ``emulation_server``.
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
"""An emulator that has not connected by then does not come any more."""
SILENCE_LIMIT_S = 60.0
"""An emulator that asks nothing for so long, in real time, has stopped."""
CALL_LIMIT_S = 60.0
LOOK_S = 0.02
WORKING_US = 20_000
"""A chip that works uses a bus at least so often, mostly."""
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
"""Bits of RESETREAS by the names the journal has for them; none is power-on."""

T = TypeVar("T")


class Emulation:
    """A tracker in its world, with a chip that is emulated elsewhere.

    It has what a ``Simulation`` has: ``clock``, ``journal``, ``rng``, ``parts``. They belong to
    the thread that serves the emulator: whoever touches them from another does it in ``do``.

    ``port`` is where the emulator has to connect. ``join_uart`` connects the part on UART 0 with
    the TCP port that the emulator offers for it.

    Args:
        board: the constants of a board file, as ``board.load`` returns them.
        world: what the sensors measure.
        seed: decides everything that is left to chance.
        out: folder for ``journal.jsonl``; none without it.
        factories: build parts that ``wiring.FACTORIES`` does not know, or differently.

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
        # VBUS is a pin of the chip's regulator, not of its ports.
        self._vbus = Net("VBUS")
        self.parts["vbus"] = Cable(self.journal, self._vbus.attach("vbus"))
        self._switched = {name for name, entry in boards.parts(board).items() if "supply" in entry}
        for uart in self.chip.uarts.values():
            uart.write = self._to_chip
        self.powered = False
        self.off = False
        """Whether the chip is in System OFF."""
        self.on_nvmc: Callable[[str, int, int], object] = lambda *_: None
        """Called when the chip's own flash begins a "write" or "erase", with address and time."""
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
        """Return the random numbers of one part of the run."""
        return self._bench.rng(name)

    # --- from any thread

    def do(self, fn: Callable[[], T]) -> T:
        """Call ``fn`` between two requests of the emulator and return what it returns.

        Raises:
            RunInvalidError: nobody serves any more; and whatever ``fn`` raises.
        """
        if self._server.is_own_thread:
            return fn()
        result: list[T] = []
        errors: list[BaseException] = []
        finished = threading.Event()

        def call() -> None:
            try:
                result.append(fn())
            except BaseException as error:  # noqa: BLE001 -- raised where it was asked for
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
        """Put the battery in."""
        self.do(self._power_on)

    def power_off(self) -> None:
        """Take the battery out, in the middle of anything."""
        self.do(self._power_off)

    def power_cut(self, us: int) -> None:
        """Take the battery out and put it back after ``us``."""

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
        """Connect the part on UART 0 with the emulator's TCP port for it.

        Raises:
            RunInvalidError: nobody listens there.
        """
        self._server.join_uart(port, limit_s)

    def await_emulator(self, limit_s: float = CONNECT_LIMIT_S) -> None:
        """Wait until an emulator has connected.

        Raises:
            RunInvalidError: none has, within the limit.
        """
        if not self._server.connected.wait(limit_s):
            raise RunInvalidError(
                f"No emulator has connected to port {self.port} in {limit_s:.0f} s."
            )
        self._heard_s = time.monotonic()

    @property
    def awake(self) -> bool:
        """Whether the firmware works, as far as its use of the SPI bus tells."""
        return self.powered and self.clock.now_us - self._worked_us < WORKING_US

    def hang(self) -> None:
        """Let the firmware wait for its hardware for ever, from its next SPI transfer on."""

        def fail() -> None:
            self._hangs = True

        self.do(fail)

    def run(self, until_us: int, silence_s: float = SILENCE_LIMIT_S) -> None:
        """Let the emulator's virtual time pass until that moment, where it stands still.

        ``silence_s``: real seconds without a request after which it is given up.

        Raises:
            RunInvalidError: the emulator is gone, stands still or never came.
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
        """Let virtual time pass on its own from now on; an emulator that waits obeys nobody else.

        Before anything is asked of the emulator itself.
        """
        self._let_pass(NEVER)

    def _let_pass(self, until_us: int) -> None:
        def let() -> None:
            self._until_us = until_us
            if not self.holds:
                self._server.go_on()

        self.do(let)

    def check(self) -> None:
        """Raise why the run proves nothing any more, if it does not."""
        if self._server.failure:
            raise self._server.failure

    def close(self) -> None:
        """Let the emulator go and close every file; a second time does nothing."""
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
        # The parts first: what the chip's pins do as it dies must not reach them.
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
        """Hand what the chip has sent to the part on its UART."""
        if self.powered:
            self.chip.uarts[0].receive(data)

    @property
    def holds(self) -> bool:
        """Whether the emulator has come as far as ``run`` lets it: time stands still there."""
        return self.clock.now_us >= self._until_us and self._greeted

    def request(
        self, op: int, unit: int, argument: int, now_us: int, data: bytes
    ) -> tuple[int, bytes]:
        """Move to the emulator's time, do one operation and return status and bytes.

        Raises:
            ProtocolError: there is no such operation, or its bytes are not its form.
        """
        clock = self.clock
        handler = self._ops.get(op)
        if handler is None or now_us >= NEVER:
            raise ProtocolError(f"The emulator asks for operation {op} at {now_us} us.")
        self._heard_s = time.monotonic()
        clock.advance_to(now_us)
        try:
            # A chip that has lost its supply since the last reply asks in vain.
            told = op == BenchOp.HELLO or self._told == self._outages
            answer = handler(unit, argument, data) if told else (NAK, b"")
        except (struct.error, IndexError, KeyError) as error:
            raise ProtocolError(
                f"The emulator's operation {BenchOp(op).name} has not its form: {error!r}."
            ) from error
        # Whoever connects is let go on to where its time begins to count.
        self._greeted = op != BenchOp.HELLO
        return answer

    def reply(self, status: int, answer: bytes) -> bytes:
        """Return the reply, with supply and pins as they are now."""
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
