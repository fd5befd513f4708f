"""Keywords that check something.

A check waits, in virtual time, for as long as it is told to, and fails with what it has seen
instead.
"""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import cbor2
from robot.api import logger
from robot.api.deco import keyword

from coldtrail_boards import logdump
from coldtrail_simulator.clock import US_PER_S
from coldtrail_simulator.report.report import Evidence
from tests.renode.case import Case

ANSWER_S = 20
"""A console's answer is there by then; so is a reading that somebody asked for."""
IN_PROGRESS_S = 1.5
"""A sample takes less."""
BOOT, ALARM_START, ALARM_END = 3, 5, 6
"""Records of the log (firmware/uplink.cddl)."""
CAUSES = {"power-on": 1, "watchdog": 3, "other": 5}
LEAST = re.compile(r"heap free at least +(\d+) bytes")


class Seeing(Case):
    """What console, journal, log and gateway show."""

    @keyword
    def console_should_say(self, words: str) -> str:
        """Wait for words, a regular expression; return all of the answer up to the prompt."""
        found = self._steering.until(lambda: re.search(words, self._answer()), ANSWER_S)
        assert found, f"the console has not said {words!r} but {self._answer()!r}"
        self._steering.until(lambda: self._answer().endswith("> "), ANSWER_S)
        return self._answer()

    @keyword
    def sensor_should_read(self, channel: str, value: float, within: float) -> None:
        """Ask the console for a measurement and compare one channel of it."""
        self._type("sensors")
        said = self.console_should_say(rf"(?m)^{channel} +\S+ \S+\n")
        match = re.search(rf"(?m)^{channel} +(-?[\d.]+) ", said)
        assert match, f"no reading of {channel}: {said!r}"
        assert abs(float(match[1]) - value) <= within, f"{channel} reads {match[1]}, not {value}"

    @keyword
    def sample_should_be_taken_within(self, time: str) -> None:
        since_s = self._steering.now_s
        taken = self._steering.until(
            lambda: self._notes("measure", since_s, sensor="battery"), self._seconds(time)
        )
        assert taken, f"no sensor was asked within {time}"

    @keyword
    def tracker_should_call_within(self, time: str) -> None:
        """Wait until it has published something, from now on."""
        since_s = self._steering.now_s
        assert self._steering.until(lambda: self._published(since_s), self._seconds(time)), (
            f"it has not called within {time}"
        )

    @keyword
    def tracker_should_not_be_heard_for(self, time: str) -> None:
        since_s = self._steering.now_s
        self._steering.let(self._seconds(time))
        assert not self._published(since_s), "it was heard"

    def _published(self, since_s: float) -> list[dict[str, Any]]:
        return self._notes("mqtt-up", since_s, packet="PUBLISH")

    @keyword
    def tracker_should_boot_within(self, time: str, cause: str) -> None:
        """Wait for a boot for that cause, as the chip has it and as the tracker records it."""
        before = len(self._boots(cause))
        assert self._steering.until(
            lambda: len(self._boots(cause)) > before, self._seconds(time)
        ), f"no boot by {cause} within {time}"

    def _boots(self, cause: str) -> list[logdump.Record]:
        return [r for r in self._log().records if r.kind == BOOT and _body(r)[2] == CAUSES[cause]]

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
        found = self._steering.until(lambda: self._records(name), self._seconds(within))
        assert found, f"no {name} in the log: {self._log_lines(-6)}"

    @keyword
    def samples_should_be_one_interval_apart(self, at_least: int) -> None:
        moments = [_body(record)[0] for record in self._records("sample")]
        gaps = {b - a for a, b in pairwise(moments)}
        assert len(moments) >= at_least, f"only {len(moments)} samples: {moments}"
        assert gaps == {self._intervals[0]}, f"samples lie {sorted(gaps)} s apart"

    @keyword
    def alarm_should_be_raised_within(self, channel: str, time: str) -> None:
        """Wait until an alarm of the channel stands that has not ended."""
        assert self._steering.until(lambda: self._standing(channel), self._seconds(time)), (
            f"no alarm of {channel} within {time}: {self._log_lines(-6)}"
        )

    @keyword
    def alarm_should_end_within(self, channel: str, time: str) -> None:
        assert self._alarms(channel, ALARM_START), f"no alarm of {channel} was raised"
        assert self._steering.until(lambda: not self._standing(channel), self._seconds(time)), (
            f"the alarm of {channel} stands after {time}"
        )

    @keyword
    def alarm_should_have_been_raised_within(self, channel: str, time: str) -> None:
        """As of what is over as soon as it has happened."""
        raised = self._steering.until(
            lambda: self._alarms(channel, ALARM_START), self._seconds(time)
        )
        assert raised, f"no alarm of {channel} within {time}: {self._log_lines(-6)}"

    @keyword
    def no_alarm_should_be_raised_within(self, time: str) -> None:
        self._steering.let(self._seconds(time))
        raised = [logdump.describe(r) for r in self._log().records if r.kind == ALARM_START]
        assert not raised, f"alarms: {raised}"

    def _alarms(self, channel: str, kind: int) -> list[logdump.Record]:
        rule = self._rules[channel]  # type: ignore[index]
        return [r for r in self._log().records if r.kind == kind and _body(r)[1] == rule]

    def _standing(self, channel: str) -> bool:
        return len(self._alarms(channel, ALARM_START)) > len(self._alarms(channel, ALARM_END))

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
        assert self._steering.until(self._all_confirmed, self._seconds(time)), (
            f"not all is confirmed within {time}: {self._log_lines(-6)}"
        )

    @keyword
    def gateway_should_hold_every_sample(self, but_those_in_progress: bool = False) -> None:
        """Verify and export by the gateway's own commands; compare with the sensors' answers.

        With ``but_those_in_progress`` a sample that a power cut interrupted may be missing.
        """
        held = self._evidence()
        assert held.chain_ok, held.verdict
        comparison = held.comparison()
        logger.info(str(comparison))
        offs = [note["us"] / US_PER_S for note in self._notes("power-off", 0)]
        missing = [
            t
            for t in comparison.missing
            if not but_those_in_progress or not any(0 <= off - t < IN_PROGRESS_S for off in offs)
        ]
        assert comparison.stored, "the gateway holds no sample"
        assert not missing, f"samples are missing: {comparison}"
        assert not comparison.invented, f"samples nobody took: {comparison}"
        assert not comparison.unplaced, f"samples without a time: {comparison}"
        assert comparison.worst_s <= 1, f"times are wrong: {comparison}"
        logger.console(f"\n  {comparison.stored} samples of {comparison.taken} at the gateway")

    @keyword
    def gateway_should_hold_the_alarm(self, channel: str) -> None:
        held = self._evidence()
        rule = self._rules[channel]  # type: ignore[index]
        starts = [e["rule"] for e in held.events if e["type"] == "alarm-start"]
        assert rule in starts, f"the gateway has alarms of rules {starts}, not {rule}"

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
