"""The keywords of the cases, in the words of the trade, for whatever target runs the tracker.

One shipment is under way at a time. A check waits, in virtual time, for as long as it is told to,
and fails with what it has seen instead.
"""

from __future__ import annotations

import re
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar

import cbor2
from robot.api import logger
from robot.api.deco import keyword, library
from robot.libraries.BuiltIn import BuiltIn

from boards import logdump
from boards import profile as profiles
from simulator import identity as identities
from simulator import scenario
from simulator.hands import Hands
from simulator.kernel import US_PER_S
from simulator.live import LiveWorld
from simulator.models.bg95.modem import BG95, Power
from simulator.packing import clear
from simulator.report import Evidence
from simulator.scenario import Button, Door, Drop, Hang, PowerCut, Tilt
from simulator.services import free_port
from simulator.shipment import Shipment
from simulator.underway import Underway
from tests.renode import times
from tests.renode.emulated import Emulated
from tests.renode.targets import HERE, SEED, Simulated, Target

TARGETS: dict[str, type[Target]] = {"simulated": Simulated, "emulated": Emulated}
ANSWER_S = 20
"""A console's answer is there by then; so is a reading that somebody asked for."""
HOLD_S, PRESSES = 4, 3
IN_PROGRESS_S = 1.5
"""A sample takes less."""
SAMPLE, BOOT, ALARM_START, ALARM_END = 1, 3, 5, 6
"""Records of the log (firmware/uplink.cddl)."""
CAUSES = {"power-on": 1, "watchdog": 3, "other": 5}
LEAST = re.compile(r"heap free at least +(\d+) bytes")


@library(scope="SUITE", version="1")
class Keywords:
    """See shipment.resource, which says what each is for."""

    _serial: ClassVar = 0

    def __init__(self, target: str) -> None:
        self._target: Target = TARGETS[target]()
        profile = profiles.load(str(self._target.profile))
        self._intervals = profile.interval, profile.upload_interval
        self._rules = {rule.channel: rule.id for rule in profile.rule}

    def _seconds(self, words: str) -> float:
        return times.seconds(words, *self._intervals)

    # ---- begin and end

    @keyword
    def pack_a_shipment(self, watched: bool = False, bench: bool = False) -> Path:
        """Provision a tracker, set up broker, gateway and modem; return the folder of it all."""
        Keywords._serial += 1
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
            self._going = stack.enter_context(
                Underway(
                    world,
                    identity,
                    registration,
                    lambda factories: self._target.fit(world, factories),
                    out,
                )
            )
            self._stack = stack.pop_all()
        self._tracker = self._going.simulation
        self._hands = Hands(self._going, world)
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
        self._begun_s = self._hands.now_s
        logger.info(f"begins at {self._begun_s:.3f} s")

    @keyword
    def a_case_ends(self) -> None:
        """Leave what happened in the log of the run."""
        logger.info(f"ends at {self._hands.now_s:.3f} s")
        for record in self._log().records[-12:]:
            logger.info(logdump.describe(record)[:160])
        for note in self._tracker.journal.notes[-40:]:
            logger.debug(str(note))

    # ---- the emulator

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
    def arrive(self) -> None:
        """Hold the button as the receiving clerk does; the tracker seals, calls, and rests.

        A press during a call goes unnoticed, so the clerk waits for its end, and for the LED.
        """
        for _ in range(PRESSES):
            self._hands.until(self._is_silent, self._seconds("3 upload intervals"))
            self._hands.do(Button(at_h=0, kind="button", hold_s=HOLD_S))
            if self._hands.until(lambda: self._records("shipment stop"), 2 * HOLD_S):
                break
        assert self._records("shipment stop"), "the button has not stopped the shipment"
        everything = self._hands.until(self._all_confirmed, self._seconds("10 upload intervals"))
        assert everything, f"not all is confirmed: {self._log_lines(-6)}"

    def _is_silent(self) -> bool:
        modem: BG95 = self._tracker.parts["modem"]
        return modem.power is Power.UNPOWERED

    @keyword
    def let_pass(self, time: str) -> None:
        """Wait in virtual time."""
        self._hands.let(self._seconds(time))

    # ---- the world

    @keyword
    def set_payload_temperature(self, celsius: float) -> None:
        self._hands.set("payload_c", celsius)

    @keyword
    def set_ambient_temperature(self, celsius: float) -> None:
        self._hands.set("ambient_c", celsius)

    @keyword
    def set_humidity(self, percent: float) -> None:
        self._hands.set("humidity", percent)

    @keyword
    def set_light(self, lux: float) -> None:
        self._hands.set("lux", lux)

    @keyword
    def set_battery(self, millivolts: float) -> None:
        self._hands.set_battery(millivolts)

    @keyword
    def lay_the_box_on(self, face: str) -> None:
        """Hold it still with an axis up, such as y-."""
        signs = {"x": 0, "y": 1, "z": 2}
        up = [0.0, 0.0, 0.0]
        up[signs[face[0]]] = 1.0 if face[1] == "+" else -1.0
        self._hands.set("acceleration", tuple(up))

    @keyword
    def open_the_box(self, for_time: str) -> None:
        minutes = self._seconds(for_time) / 60
        self._hands.do(Door(at_h=0, kind="door", for_min=minutes, lux=200))

    @keyword
    def drop_the_box(self, metres: float = 1.0) -> None:
        self._hands.do(Drop(at_h=0, kind="drop", height_m=metres))

    @keyword
    def tilt_the_box(self, for_time: str) -> None:
        hours = self._seconds(for_time) / 3600
        self._hands.do(Tilt(at_h=0, kind="tilt", face="x+", for_h=hours))

    @keyword
    def lose_coverage(self) -> None:
        self._hands.set("coverage", "none")

    @keyword
    def coverage_returns(self) -> None:
        self._hands.set("coverage", "LTE-M")

    # ---- what happens to the tracker

    @keyword
    def cut_power(self, for_time: str = "3 s") -> None:
        off_s = self._seconds(for_time)
        self._hands.do(PowerCut(at_h=0, kind="power_cut", off_s=off_s))

    @keyword
    def cut_power_in_a_flash_write(self, percent: float, for_time: str = "3 s") -> None:
        """Cut when so much of the next write is done, and wait until it has torn that write."""
        since_s, off_s = self._hands.now_s, self._seconds(for_time)
        self._hands.do(
            PowerCut(
                at_h=0, kind="power_cut", off_s=off_s, during="flash_write", share=percent / 100
            )
        )
        limit_s = self._seconds("2 sampling intervals")
        torn = self._hands.until(lambda: self._notes("flash_torn", since_s), limit_s)
        assert torn, "no write was torn: nothing was written"
        logger.info(f"tear: {self._notes('flash_torn', since_s)[0]['tear']}")
        self._hands.let(off_s)

    @keyword
    def hang_a_task(self) -> None:
        self._hands.do(Hang(at_h=0, kind="hang"))

    # ---- the console

    @keyword
    def plug_the_cable_in(self) -> None:
        self._tracker.plug()
        self._heard = len(self._target.console.text)

    @keyword
    def type_at_the_console(self, line: str) -> None:
        """Type a line; what is asked for next is what the tracker says from now on."""
        self._heard = len(self._target.console.text)
        self._tracker.do(lambda: self._target.console.type(line.encode() + b"\r"))

    @keyword
    def console_should_say(self, words: str) -> str:
        """Wait for words, a regular expression; return all of the answer up to the prompt."""
        found = self._hands.until(lambda: re.search(words, self._answer()), ANSWER_S)
        assert found, f"the console has not said {words!r} but {self._answer()!r}"
        self._hands.until(lambda: self._answer().endswith("> "), ANSWER_S)
        return self._answer()

    def _answer(self) -> str:
        return self._target.console.text[self._heard :].replace("\r", "")

    @keyword
    def sensor_should_read(self, channel: str, value: float, within: float) -> None:
        """Ask the console for a measurement and compare one channel of it."""
        self.type_at_the_console("sensors")
        said = self.console_should_say(rf"(?m)^{channel} +\S+ \S+\n")
        match = re.search(rf"(?m)^{channel} +(-?[\d.]+) ", said)
        assert match, f"no reading of {channel}: {said!r}"
        assert abs(float(match[1]) - value) <= within, f"{channel} reads {match[1]}, not {value}"

    # ---- the journal: what the models have seen

    def _notes(self, kind: str, since_s: float, **fields: Any) -> list[dict[str, Any]]:
        return self._hands.notes(kind, since_s, **fields)

    @keyword
    def sample_should_be_taken_within(self, time: str) -> None:
        since_s = self._hands.now_s
        taken = self._hands.until(
            lambda: self._notes("measure", since_s, sensor="battery"), self._seconds(time)
        )
        assert taken, f"no sensor was asked within {time}"

    @keyword
    def tracker_should_call_within(self, time: str) -> None:
        """Wait until it has published something, from now on."""
        since_s = self._hands.now_s
        assert self._hands.until(lambda: self._published(since_s), self._seconds(time)), (
            f"it has not called within {time}"
        )

    @keyword
    def tracker_should_not_be_heard_for(self, time: str) -> None:
        since_s = self._hands.now_s
        self._hands.let(self._seconds(time))
        assert not self._published(since_s), "it was heard"

    def _published(self, since_s: float) -> list[dict[str, Any]]:
        return self._notes("mqtt-up", since_s, packet="PUBLISH")

    @keyword
    def tracker_should_boot_within(self, time: str, cause: str) -> None:
        """Wait for a boot for that cause, as the chip has it and as the tracker records it."""
        before = len(self._boots(cause))
        assert self._hands.until(lambda: len(self._boots(cause)) > before, self._seconds(time)), (
            f"no boot by {cause} within {time}"
        )

    def _boots(self, cause: str) -> list[logdump.Record]:
        return [r for r in self._log().records if r.kind == BOOT and _body(r)[2] == CAUSES[cause]]

    # ---- the log: what the tracker has written

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

    @keyword
    def log_should_be_whole(self) -> None:
        """Decode the flash by a program that shares nothing with the firmware."""
        log = self._log()
        assert log.records, "the flash holds no log"
        assert not log.damage, f"the log is damaged: {'; '.join(log.damage)}"
        logger.info(f"{len(log.records)} records, whole")

    @keyword
    def log_should_hold(self, name: str, within: str = "0 s") -> None:
        """Wait for a record by its name, such as sample, boot, shock."""
        found = self._hands.until(lambda: self._records(name), self._seconds(within))
        assert found, f"no {name} in the log: {self._log_lines(-6)}"

    def _records(self, name: str) -> list[logdump.Record]:
        names = {**logdump.TYPES, 14: "shock", 15: "free fall"}
        assert name in names.values(), f"there is no record named {name}"
        return [record for record in self._log().records if names.get(record.kind) == name]

    @keyword
    def samples_should_be_one_interval_apart(self, at_least: int) -> None:
        moments = [_body(record)[0] for record in self._records("sample")]
        gaps = {b - a for a, b in pairwise(moments)}
        assert len(moments) >= at_least, f"only {len(moments)} samples: {moments}"
        assert gaps == {self._intervals[0]}, f"samples lie {sorted(gaps)} s apart"

    # ---- alarms

    @keyword
    def alarm_should_be_raised_within(self, channel: str, time: str) -> None:
        """Wait until an alarm of the channel stands that has not ended."""
        assert self._hands.until(lambda: self._standing(channel), self._seconds(time)), (
            f"no alarm of {channel} within {time}: {self._log_lines(-6)}"
        )

    @keyword
    def alarm_should_end_within(self, channel: str, time: str) -> None:
        assert self._alarms(channel, ALARM_START), f"no alarm of {channel} was raised"
        assert self._hands.until(lambda: not self._standing(channel), self._seconds(time)), (
            f"the alarm of {channel} stands after {time}"
        )

    @keyword
    def alarm_should_have_been_raised_within(self, channel: str, time: str) -> None:
        """As of what is over as soon as it has happened."""
        raised = self._hands.until(lambda: self._alarms(channel, ALARM_START), self._seconds(time))
        assert raised, f"no alarm of {channel} within {time}: {self._log_lines(-6)}"

    @keyword
    def no_alarm_should_be_raised_within(self, time: str) -> None:
        self._hands.let(self._seconds(time))
        raised = [logdump.describe(r) for r in self._log().records if r.kind == ALARM_START]
        assert not raised, f"alarms: {raised}"

    def _alarms(self, channel: str, kind: int) -> list[logdump.Record]:
        rule = self._rules[channel]  # type: ignore[index]
        return [r for r in self._log().records if r.kind == kind and _body(r)[1] == rule]

    def _standing(self, channel: str) -> bool:
        return len(self._alarms(channel, ALARM_START)) > len(self._alarms(channel, ALARM_END))

    # ---- the gateway

    def _all_confirmed(self) -> bool:
        log = self._log().records
        blocks = [logdump.BLOCK_HEAD.unpack_from(r.payload)[0] for r in log if r.kind == 28]
        self._shipment.confirmation = self._going.confirmation()
        sealed_last = next((r.kind for r in reversed(log) if r.kind in (SAMPLE, 11, 28)), 0)
        return (
            bool(blocks)
            and sealed_last == 28
            and all(self._shipment.confirms(block) for block in blocks)
        )

    def _evidence(self) -> Evidence:
        """Ask the gateway, again only where something has happened since."""
        notes = list(self._tracker.journal.notes)
        if self._held is None or len(notes) != len(self._shipment.notes):
            self._shipment.notes = notes
            self._held = Evidence(self._shipment)
        return self._held

    @keyword
    def gateway_should_have_confirmed_within(self, time: str) -> None:
        """Wait until the gateway has confirmed every sealed block."""
        assert self._hands.until(self._all_confirmed, self._seconds(time)), (
            f"not all is confirmed within {time}: {self._log_lines(-6)}"
        )

    @keyword
    def gateway_should_hold_every_sample(self, but_those_in_progress: bool = False) -> None:
        """Verify and export by the gateway's own commands; compare with the sensors' answers.

        With ``but_those_in_progress`` a sample that a power cut interrupted may be missing.
        """
        held = self._evidence()
        assert held.chain_ok, held.verdict
        agreement = held.agreement()
        logger.info(str(agreement))
        offs = [note["us"] / US_PER_S for note in self._notes("power-off", 0)]
        missing = [
            t
            for t in agreement.missing
            if not but_those_in_progress or not any(0 <= off - t < IN_PROGRESS_S for off in offs)
        ]
        assert agreement.stored, "the gateway holds no sample"
        assert not missing, f"samples are missing: {agreement}"
        assert not agreement.invented, f"samples nobody took: {agreement}"
        assert not agreement.unplaced, f"samples without a time: {agreement}"
        assert agreement.worst_s <= 1, f"times are wrong: {agreement}"
        logger.console(f"\n  {agreement.stored} samples of {agreement.taken} at the gateway")

    @keyword
    def gateway_should_hold_the_alarm(self, channel: str) -> None:
        held = self._evidence()
        rule = self._rules[channel]  # type: ignore[index]
        starts = [e["rule"] for e in held.events if e["type"] == "alarm-start"]
        assert rule in starts, f"the gateway has alarms of rules {starts}, not {rule}"

    # ---- the heap

    @keyword
    def smallest_free_heap(self, memory: Path | None = None) -> int:
        """Return the least bytes that were free after a collection; print them.

        They are on the console, or in what a chip's ``memory`` holds.
        """
        said = memory.read_bytes().decode("latin-1") if memory else self._target.console.text
        least = min(map(int, LEAST.findall(said)), default=None)
        assert least is not None, "nobody has watched the heap"
        logger.console(f"\n  smallest free heap: {least} bytes")
        return least


def _body(record: logdump.Record) -> list[Any]:
    """Return a record's CBOR: an event without its first element."""
    body: list[Any] = cbor2.loads(record.payload)
    return body
