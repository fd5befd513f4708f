"""The modem's driver on CPython, wired to its model; time is virtual."""

import asyncio
from collections.abc import Callable

from coldtrail_simulator.clock import US_PER_S
from coldtrail_simulator.models.bg95.general import Sim
from coldtrail_simulator.models.bg95.part import Part
from drivers.bg95 import modem
from tests.firmware.support import on_cpython
from tests.simulator.modem_rig import Places, Rig


class Pin:
    """A pin of the board, inverted by a transistor where the module's is low-active."""

    def __init__(
        self, drive: Callable[[int], None] | None = None, sense: Callable[[], int] | None = None
    ) -> None:
        self._drive = drive
        self._sense = sense

    def value(self, level: int | None = None) -> int | None:
        if level is None:
            return self._sense() if self._sense else None
        if self._drive:
            self._drive(int(level))
        return None


class Bench:
    """The model on a bench, wired to the driver; its clock follows the event loop's."""

    def __init__(
        self,
        part: Part,
        port: int = 1,
        *,
        world: Places | None = None,
        sim: Sim | None = None,
        baud: int = 115_200,
    ) -> None:
        resolve = {"broker.example": ("127.0.0.1", port)}
        self.rig = rig = Rig(part=part, resolve=resolve, world=world, sim=sim)
        rig.modem.supply(0)
        self._origin: float | None = None
        near, self._far = on_cpython.uart_pair()
        rig.baud = baud
        near.init = self._turn  # type: ignore[method-assign]
        rig.send = self._far.write  # type: ignore[method-assign, assignment]
        self.modem = modem.BG95(
            near,
            Pin(lambda level: rig.modem.pwrkey(0 if level else None)),
            Pin(lambda level: rig.modem.reset_n(0 if level else None)),
            Pin(sense=lambda: rig.status.level or 0),
            Pin(rig.modem.supply),
            baud,
        )
        self._task = asyncio.create_task(self._pass_on())

    def _turn(self, **options: int) -> None:
        self.rig.baud = options["baudrate"]

    def tick(self, now_s: float) -> None:
        if self._origin is None:
            self._origin = now_s - self.rig.clock.now_us / US_PER_S
        self.rig.clock.advance_to(round((now_s - self._origin) * US_PER_S))

    async def _pass_on(self) -> None:
        buffer = bytearray(4096)
        while True:
            await self._far.readable()
            count = self._far.readinto(buffer) or 0
            self.rig.modem.receive(bytes(buffer[:count]))
