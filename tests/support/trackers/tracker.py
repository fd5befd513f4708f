"""A simulated tracker for tests: its time is advanced, its journal and flash are read."""

from __future__ import annotations

from typing import Any

import cbor2

from coldtrail_boards import logdump
from coldtrail_simulator.clock import US_PER_S
from coldtrail_simulator.shipment.simulation import Simulation


class Tracker(Simulation):
    """A simulation with access to its journal and flash."""

    def wait(self, seconds: float) -> None:
        """Advance virtual time by ``seconds``."""
        self.run(self.clock.now_us + round(seconds * US_PER_S))

    def notes(self, kind: str) -> list[dict[str, Any]]:
        """Return the journal's notes of one kind."""
        return [note for note in self.journal.notes if note["kind"] == kind]

    def dump(self) -> logdump.Dump:
        """Return the content of the flash."""
        return logdump.decode(bytes(self.parts["flash"].array.cells))

    def records(self, *kinds: int) -> list[list[Any]]:
        """Return the fields of the records of these types in the flash."""
        return [
            [record.kind, *cbor2.loads(record.payload)]
            for record in self.dump().records
            if record.kind in kinds
        ]
