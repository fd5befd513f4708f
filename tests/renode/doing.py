"""Keywords that do something: to the world, to the tracker, at its console."""

from __future__ import annotations

from functools import partial

from robot.api import logger
from robot.api.deco import keyword

from coldtrail_simulator.clock import US_PER_S
from coldtrail_simulator.world.scenario import (
    ButtonPress,
    Command,
    Door,
    Drop,
    Hang,
    PowerCut,
    Tilt,
)
from tests.renode.case import Case

HOLD_S = 4
CALL_S = 300


class Doing(Case):
    """What people, weather and bad luck do."""

    @keyword
    def arrive(self) -> None:
        """Hold the button as the receiving clerk does; the tracker seals, calls, and rests."""
        self._steering.do(ButtonPress(at_h=0, kind="button", hold_s=HOLD_S))
        # Pressed during a call, it is answered when the call is over.
        stopped = self._steering.until(lambda: self._records("shipment stop"), CALL_S)
        assert stopped, "the button has not stopped the shipment"
        everything = self._steering.until(
            self._all_confirmed, self._seconds("10 upload intervals")
        )
        assert everything, f"not all is confirmed: {self._log_lines(-6)}"

    @keyword
    def set_payload_temperature(self, celsius: float) -> None:
        self._steering.set("payload_c", celsius)

    @keyword
    def set_ambient_temperature(self, celsius: float) -> None:
        self._steering.set("ambient_c", celsius)

    @keyword
    def set_humidity(self, percent: float) -> None:
        self._steering.set("humidity", percent)

    @keyword
    def set_light(self, lux: float) -> None:
        self._steering.set("lux", lux)

    @keyword
    def set_battery(self, millivolts: float) -> None:
        self._steering.set_battery(millivolts)

    @keyword
    def lay_the_box_on(self, face: str) -> None:
        """Hold it still with an axis up, such as y-."""
        signs = {"x": 0, "y": 1, "z": 2}
        up = [0.0, 0.0, 0.0]
        up[signs[face[0]]] = 1.0 if face[1] == "+" else -1.0
        self._steering.set("acceleration", tuple(up))

    @keyword
    def open_the_box(self, for_time: str) -> None:
        minutes = self._seconds(for_time) / 60
        self._steering.do(Door(at_h=0, kind="door", for_min=minutes, lux=200))

    @keyword
    def drop_the_box(self, metres: float = 1.0) -> None:
        self._steering.do(Drop(at_h=0, kind="drop", height_m=metres))

    @keyword
    def tilt_the_box(self, for_time: str) -> None:
        hours = self._seconds(for_time) / 3600
        self._steering.do(Tilt(at_h=0, kind="tilt", face="x+", for_h=hours))

    @keyword
    def lose_coverage(self) -> None:
        self._steering.set("coverage", "none")

    @keyword
    def coverage_returns(self) -> None:
        self._steering.set("coverage", "LTE-M")

    @keyword
    def cut_power(self, for_time: str = "3 s") -> None:
        off_s = self._seconds(for_time)
        self._steering.do(PowerCut(at_h=0, kind="power_cut", off_s=off_s))

    @keyword
    def cut_power_in_a_flash_write(self, percent: float, for_time: str = "3 s") -> None:
        """Cut when so much of the next write is done, and wait until it has torn that write."""
        since_s, off_s = self._steering.now_s, self._seconds(for_time)
        self._steering.do(
            PowerCut(
                at_h=0, kind="power_cut", off_s=off_s, during="flash_write", share=percent / 100
            )
        )
        limit_s = self._seconds("2 sampling intervals")
        torn = self._steering.until(lambda: self._notes("flash_torn", since_s), limit_s)
        assert torn, "no write was torn: nothing was written"
        logger.info(f"tear: {self._notes('flash_torn', since_s)[0]['tear']}")
        self._steering.let(off_s)

    @keyword("Cut Power In A Write Of The Chip's Flash")
    def cut_power_in_own_write(self, percent: float, within: str, for_time: str = "3 s") -> None:
        """Cut when so much of the next write or erase of the chip's own flash is done."""
        tracker, off_s = self._emulated().tracker, self._seconds(for_time)
        nothing, torn = tracker.on_nvmc, list[str]()

        def begun(kind: str, address: int, took_us: int) -> None:
            tracker.on_nvmc = nothing
            torn.append(f"{kind} at {address:#x}")
            cut = partial(tracker.power_cut, round(off_s * US_PER_S))
            tracker.clock.call_after(int(took_us * percent / 100), cut)

        def watch() -> None:
            tracker.on_nvmc = begun

        tracker.do(watch)
        assert self._steering.until(lambda: torn, self._seconds(within)), "nothing was written"
        logger.info(f"torn: {torn[0]}")
        self._steering.let(off_s)

    @keyword
    def ask_the_tracker_to(self, *command: str) -> None:
        """Send a command by the gateway's own command line; the next call brings it."""
        self._steering.do(Command(at_h=0, kind="command", arguments=list(command)))

    @keyword
    def hang_a_task(self) -> None:
        self._steering.do(Hang(at_h=0, kind="hang"))

    @keyword
    def plug_the_cable_in(self) -> None:
        self._tracker.plug()
        self._heard = len(self._target.console.text)

    @keyword
    def type_at_the_console(self, line: str) -> None:
        """Type a line; what is asked for next is what the tracker says from now on."""
        self._type(line)
