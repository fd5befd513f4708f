"""A whole tracker on a bench: its firmware and board, but no modem answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cbor2

from coldtrail_boards import logdump
from coldtrail_simulator.board import file as boards
from coldtrail_simulator.clock import US_PER_S
from coldtrail_simulator.esp32 import interpreter
from coldtrail_simulator.paths import BOARDS, FIRMWARE
from coldtrail_simulator.shipment import identity
from tests.support.trackers.rig import Still
from tests.support.trackers.tracker import Tracker

BOARD = boards.named("esp32_bg95")
SAMPLE, FAULT = 1, 13
CLOSED = 65_000
"""The number of no port, because the modem is never used."""


class NoModem:
    """An unequipped modem position on the board."""

    def __init__(self, *_: object) -> None:
        self.uart = self.status = None

    def supply(self, level: int | None) -> None:
        """Ignore the supply."""

    pwrkey = reset_n = receive = supply


def profile(rules: Sequence[Sequence[int]] = (), **fields: Any) -> bytes:
    """Return profile.cbor of a profile with one sample a minute; ``fields`` by name."""
    names = {"interval": 2, "alarm_interval": 3, "upload_interval": 4, "delay": 6}
    names |= {"alarm_upload_interval": 5, "urgent_faults": 11, "zone_start": 12}
    names |= {"arrival_window": 14}
    whole: dict[int, Any] = {0: 1, 1: "bench", 2: 60, 3: 60, 4: 86400, 5: 86400, 6: 0}
    whole |= {7: [list(rule) for rule in rules]}
    whole |= {names[key]: value for key, value in fields.items()}
    return cbor2.dumps(whole, canonical=True)


class BenchTracker(Tracker):
    """A tracker whose sensors, buttons and lines are controlled by a test.

    Args:
        volume: an empty folder.
        files: more files for the tracker, such as profile.cbor.
    """

    def __init__(
        self,
        volume: Path,
        *,
        files: Mapping[str, bytes] | None = None,
        board: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> None:
        interpreter.install(volume, interpreter.package(FIRMWARE))
        interpreter.install(volume, {"board.py": BOARDS / "esp32_bg95" / "board.py"})
        name = identity.simulated(1, "bench")
        content = {"identity.cbor": name.device_file("broker.example", CLOSED)}
        for path, data in (content | {"profile.cbor": profile()} | dict(files or {})).items():
            (volume / path).write_bytes(data)
        self.world = Still()
        factories = {"BG95-M3": NoModem} | options.pop("factories", {})
        super().__init__(board or BOARD, volume, self.world, factories=factories, **options)

    def wait_for(self, kind: str, limit_s: float = 100) -> None:
        """Wait until the journal has a new note of this kind."""
        before = len(self.notes(kind))
        end_us = self.clock.now_us + round(limit_s * US_PER_S)
        while len(self.notes(kind)) == before:
            assert self.clock.now_us < end_us, f"no {kind} within {limit_s} s"
            self.wait(0.25)

    def dump(self) -> logdump.Dump:
        """Return the content of the flash. Raises AssertionError if it is damaged."""
        dump = super().dump()
        assert not dump.damage
        return dump
