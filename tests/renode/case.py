"""A shipment under way in a case: set up, cleared away, looked into."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any, ClassVar

from robot.api import logger
from robot.api.deco import keyword
from robot.libraries.BuiltIn import BuiltIn

from coldtrail_boards import logdump
from coldtrail_boards.profiles import profile as profiles
from coldtrail_simulator.report.report import Evidence
from coldtrail_simulator.services.process import free_port
from coldtrail_simulator.shipment import identity as identities
from coldtrail_simulator.shipment.packing import clear
from coldtrail_simulator.shipment.session import Session
from coldtrail_simulator.shipment.shipment import Shipment
from coldtrail_simulator.shipment.steering import Steering
from coldtrail_simulator.world import scenario
from coldtrail_simulator.world.live import LiveWorld
from tests.renode import times
from tests.renode.emulated import Emulated
from tests.renode.targets import HERE, SEED, Simulated, Target

TARGETS: dict[str, type[Target]] = {"simulated": Simulated, "emulated": Emulated}
SAMPLE, STOP, BLOCK = 1, 11, 28
"""Records of the log (firmware/uplink.cddl)."""


class Case:
    """Begin and end, and what the other keywords stand on. One shipment at a time."""

    _serial: ClassVar = 0

    def __init__(self, target: str) -> None:
        self._target: Target = TARGETS[target]()
        profile = profiles.load(str(self._target.profile))
        self._intervals = profile.interval, profile.upload_interval
        self._rules = {rule.channel: rule.id for rule in profile.rule}

    def _seconds(self, words: str) -> float:
        return times.seconds(words, *self._intervals)

    @keyword
    def pack_a_shipment(self, watched: bool = False, bench: bool = False) -> Path:
        """Provision a tracker, set up broker, gateway and modem; return the folder of it all."""
        Case._serial += 1
        said = BuiltIn().get_variable_value
        results = said("${RESULTS_DIRECTORY}") or said("${OUTPUT DIR}")  # renode-test's or robot's
        suite = Path(said("${SUITE SOURCE}")).stem
        out = Path(results).resolve() / "shipments" / f"{suite}-{self._serial}"
        clear(out)
        story = scenario.load(str(HERE / "journey.toml"))
        header = {"board": self._target.board, "profile": str(self._target.profile)}
        story = story.model_copy(update={"scenario": story.scenario.model_copy(update=header)})
        world = LiveWorld(story, SEED)
        identity = identities.simulated(SEED, story.name)
        self._target.pack(out, identity, watched=watched, bench=bench)
        registration = out / "registration.json"
        identity.write_registration(registration)
        self._shipment = Shipment(story, world, identity, out)
        with ExitStack() as stack:
            self._session = stack.enter_context(
                Session(
                    world,
                    identity,
                    registration,
                    lambda factories: self._target.fit(world, factories),
                    out,
                )
            )
            self._stack = stack.pop_all()
        self._tracker = self._session.simulation
        self._steering = Steering(self._session, world)
        self._heard = 0
        self._written: object = None
        self._held: Evidence | None = None
        return out

    @keyword
    def put_the_battery_in(self) -> None:
        """Begin."""
        self._tracker.power_on()

    @keyword
    def close_everything(self) -> None:
        """End everything that a shipment has started."""
        if hasattr(self, "_stack"):
            self._stack.close()
            del self._stack

    @keyword
    def a_case_begins(self) -> None:
        """Say when, in virtual time."""
        self._begun_s = self._steering.now_s
        logger.info(f"begins at {self._begun_s:.3f} s")

    @keyword
    def a_case_ends(self) -> None:
        """Leave what happened in the log of the run."""
        logger.info(f"ends at {self._steering.now_s:.3f} s")
        for record in self._log().records[-12:]:
            logger.info(logdump.describe(record)[:160])
        for note in self._tracker.journal.notes[-40:]:
            logger.debug(str(note))

    @keyword
    def bench_port(self) -> int:
        """Return the port at which the board waits for an emulated chip."""
        return self._emulated().tracker.port

    @keyword
    def free_port(self) -> int:
        """Return a port for the chip's UART."""
        return free_port()

    @keyword
    def join_the_chip(self, uart_port: int) -> None:
        """Connect modem or terminal with the chip's UART."""
        tracker = self._emulated().tracker
        tracker.await_emulator()
        tracker.join_uart(uart_port)

    @keyword
    def let_time_run(self) -> None:
        """From now on the emulator waits for nobody, so that its monitor can be asked."""
        self._emulated().tracker.release()

    def _emulated(self) -> Emulated:
        assert isinstance(self._target, Emulated), "this target has no emulator"
        return self._target

    @keyword
    def let_pass(self, time: str) -> None:
        """Wait in virtual time."""
        self._steering.let(self._seconds(time))

    def _notes(self, kind: str, since_s: float, **fields: Any) -> list[dict[str, Any]]:
        return self._steering.notes(kind, since_s, **fields)

    def _log(self) -> logdump.Dump:
        """Decode the flash anew where something was written since."""
        written, cells = self._tracker.do(self._cells)
        if written != self._written:
            try:
                self._dump = logdump.decode(cells)
            except logdump.ImageError:
                self._dump = logdump.Dump()
            self._written = written
        return self._dump

    def _cells(self) -> tuple[object, bytes]:
        array = self._tracker.parts["flash"].array
        written = array.programmed_bytes, sum(array.wear)
        return written, b"" if written == self._written else bytes(array.cells)

    def _log_lines(self, last: int) -> list[str]:
        return [logdump.describe(record) for record in self._log().records[last:]]

    def _records(self, name: str) -> list[logdump.Record]:
        assert name in logdump.TYPES.values(), f"there is no record named {name}"
        return [record for record in self._log().records if logdump.TYPES.get(record.kind) == name]

    def _all_confirmed(self) -> bool:
        log = self._log().records
        blocks = [logdump.BLOCK_HEAD.unpack_from(r.payload)[0] for r in log if r.kind == BLOCK]
        self._shipment.confirmation = self._session.confirmation()
        sealed_last = next((r.kind for r in reversed(log) if r.kind in (SAMPLE, STOP, BLOCK)), 0)
        return (
            bool(blocks)
            and sealed_last == BLOCK
            and all(self._shipment.confirms(block) for block in blocks)
        )

    def _type(self, line: str) -> None:
        self._heard = len(self._target.console.text)
        self._tracker.do(lambda: self._target.console.type(line.encode() + b"\r"))

    def _answer(self) -> str:
        return self._target.console.text[self._heard :].replace("\r", "")
