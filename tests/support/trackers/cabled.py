"""A tracker on a cable: its console on a pseudo-terminal, its time in step with real time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import serial

from coldtrail_simulator.clock import US_PER_S
from coldtrail_simulator.shipment import identity
from tests.support import host
from tests.support.trackers.bench import CLOSED, BenchTracker

CODE = "s3cret"
NAME = identity.simulated(1, "bench")


def provisioned(**options: object) -> bytes:
    """Return identity.cbor with optional fields: ``code``, ``service``."""
    numbers = {"service": 14, "code": 15}
    return NAME.device_file(
        "broker.example", CLOSED, options={numbers[key]: value for key, value in options.items()}
    )


class Cabled(BenchTracker):
    """A tracker that runs in its own thread within the ``with`` block.

    ``link`` is the port. ``do`` calls a function in the tracker's thread.
    """

    def __init__(self, folder: Path, *, speed: float = 20, **options: Any) -> None:
        volume = folder / "volume"
        volume.mkdir(parents=True)
        super().__init__(volume, speed=speed, **options)
        self.link = folder / "console"
        self.console.attach(self.link)
        self.parts["vbus"].plug()
        self._orders: list[Callable[[], object]] = []
        self._ends = False
        self._thread = threading.Thread(target=self._live)
        self.error: BaseException | None = None

    def _live(self) -> None:
        try:
            while not self._ends:
                while self._orders:
                    self._orders.pop(0)()
                self.run(self.clock.now_us + US_PER_S // 2)
        except Exception as error:  # noqa: BLE001 -- raised where the test waits
            self.error = error

    def __enter__(self) -> Self:
        self.power_on()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ends = True
        self._thread.join()
        self.close()
        if self.error:
            raise self.error

    def do(self, order: Callable[[], object]) -> None:
        """Call ``order`` between two half seconds of the tracker's time, and wait for it."""
        done = threading.Event()
        self._orders += [order, done.set]
        assert done.wait(host.PATIENCE_S)

    def until(self, condition: Callable[[], object], what: str = "it") -> None:
        """Wait in real time until ``condition`` holds."""

        def holds() -> object:
            assert self.error is None, self.error
            return condition()

        host.until(holds, lambda: f"{what} (said at the end: {self.console.text[-500:]})")

    def terminal(self) -> serial.Serial:
        """Open the port as a terminal program does."""
        return serial.Serial(str(self.link), 115_200, timeout=host.PATIENCE_S)
