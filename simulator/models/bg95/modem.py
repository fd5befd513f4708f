"""The module as a part on the board: its pins, its power states, and what they start and stop.

Sources: the hardware designs named in ``part.py``. The messages at start-up and power-down are
from the BG96 AT Commands Manual V2.2, 1.6, 11.1 and 12.7.
"""

from __future__ import annotations

import enum
import random
from collections.abc import Callable
from typing import Protocol

from coldtrail_simulator.clock import US_PER_MS, Clock, Handle
from coldtrail_simulator.journal import Journal
from coldtrail_simulator.models.bg95.at import AtPort
from coldtrail_simulator.models.bg95.draw import Draw
from coldtrail_simulator.models.bg95.files import Files
from coldtrail_simulator.models.bg95.general import General, Sim
from coldtrail_simulator.models.bg95.gnss import Gnss, Sky
from coldtrail_simulator.models.bg95.part import BG95_M3, Part
from coldtrail_simulator.models.bg95.past import Past
from coldtrail_simulator.models.bg95.radio import Radio, Reception
from coldtrail_simulator.models.bg95.saving import Saving
from coldtrail_simulator.models.bg95.tcpip import TcpIp
from coldtrail_simulator.models.bg95.tls import Tls
from coldtrail_simulator.network.network import Network

APPLICATION_MS = (150, 600)
"""The time from RDY to APP RDY."""
DETACH_MS = (200, 2_500)  # at most 60 s
IMMEDIATE_MS = (20, 100)


class Wire(Protocol):
    """A net that the module drives."""

    def drive(self, level: int | None) -> None:
        """Drive the net high (1) or low (0), or release it (None)."""


class Uart(Protocol):
    """The other end of the module's UART."""

    baud: int

    def send(self, data: bytes) -> None:
        """Send bytes to the host after those that are still being sent."""


class Power(enum.Enum):
    """The power state of the module."""

    UNPOWERED = "unpowered"
    OFF = "off"
    PSM = "psm"
    BOOTING = "booting"
    ON = "on"
    STOPPING = "stopping"


class BG95:
    """A Quectel BG95 (or BG96), from its supply to its sockets.

    ``supply``, ``pwrkey`` and ``reset_n`` take the level of the net at the module's pin. PWRKEY
    and RESET_N are pulled up inside, so that only 0 is low. ``receive`` takes what the host
    writes. Connect ``uart`` and, if the board uses it, ``status`` before the run.

    Args:
        utc_ms: returns the true time in milliseconds since 1970, which the network sends.
        sky: returns the position that satellites give; without it no satellite is in view.
        past: the content of the module's flash at the start.
    """

    def __init__(
        self,
        clock: Clock,
        rng: random.Random,
        journal: Journal,
        world: Reception,
        network: Network,
        utc_ms: Callable[[], int],
        part: Part = BG95_M3,
        sim: Sim | None = None,
        sky: Sky = lambda _t_s: None,
        past: Past | None = None,
    ) -> None:
        past = past or Past()
        self.part = part
        self.uart: Uart | None = None
        self.status: Wire | None = None
        self.power = Power.UNPOWERED
        self.clock = clock
        self.journal = journal
        self.network = network
        self._rng = rng
        self._epoch = 0
        self._supplied_us = 0
        self._lows: dict[str, int] = {}
        self._holds: dict[str, Handle] = {}
        self._reset_held = False
        self._draws = Draw(clock)
        self.load = self._draws.load
        self.radio = Radio(clock, rng, journal, world, utc_ms, self.after, part.modes, past)
        self.tcpip = TcpIp(rng, network, self.radio, self.after, past)
        self.general = General(
            rng, part, sim or Sim(), self.radio, self.after, self.restart, self.power_down, past
        )
        self.files = Files(rng)
        self.tls = Tls(part, self.tcpip, self.files, self.radio)
        self.gnss = Gnss(
            clock,
            rng,
            journal,
            part,
            sky,
            utc_ms,
            lambda: self.general.function == 1 and self.power is Power.ON,
            self.radio.block,
        )
        self.saving = Saving(self.radio, self.after, lambda: self._draws.is_idle, self._rest, past)
        commands = (
            self.saving.commands()
            | self.general.commands()
            | self.tcpip.commands()
            | self.tls.commands()
        )
        commands |= self.files.commands() | self.gnss.commands()
        self.port = AtPort(rng, journal, self.after, self._send, commands)
        self.port.reports = self.general.report_port == "uart1"
        self.general.port = self.tcpip.port = self.port
        self.radio.changed = self.port.report
        self.radio.moved = self._draws.registration
        self.radio.timers = self.saving.granted
        self._draws.released = self.saving.released
        self.gnss.switched = self._draws.satellites
        network.on_packet = self._draws.packet
        self.radio.reachable = self.tcpip.reachable
        self.radio.deactivated = self.tcpip.deactivated

    def after(self, us: int, fn: Callable[[], object]) -> Handle:
        """Call ``fn`` later, unless the module has been switched off or reset by then."""
        epoch = self._epoch

        def call() -> None:
            if epoch == self._epoch:
                fn()

        return self.clock.call_after(us, call)

    def _draw(self, span_ms: tuple[int, int]) -> int:
        return self._rng.randint(*span_ms) * US_PER_MS

    # --- UART

    def receive(self, data: bytes) -> None:
        """Take what the host wrote; at the wrong baud rate it is noise and has no effect."""
        if self.power is Power.ON and self._in_tune():
            self.port.receive(data)

    def _send(self, data: bytes) -> None:
        if self.uart:
            self.uart.send(data if self._in_tune() else bytes(byte | 0x80 for byte in data))

    def _in_tune(self) -> bool:
        return self.uart is None or self.uart.baud in (0, self.general.baud)

    # --- pins

    def supply(self, level: int | None) -> None:
        """Switch VBAT on or off; when it goes off, everything ends at once."""
        if level and self.power is Power.UNPOWERED:
            self._supplied_us = self.clock.now_us
            self._become(Power.OFF)
        elif not level and self.power is not Power.UNPOWERED:
            self._cut(Power.UNPOWERED)
            self.radio.rtc = type(self.radio.rtc)(self.clock)

    def pwrkey(self, level: int | None) -> None:
        """Take a new level of PWRKEY."""
        held_us = self._edge("PWRKEY", level)
        if level == 0:
            due_us = max(self.clock.now_us, self._supplied_us + self.part.supply_us)
            self._hold("PWRKEY", due_us + self.part.turn_on_us, self._turn_on)
            if self.part.key_resets:
                self._hold("reset", self.clock.now_us + self.part.reset_us, self._hold_reset)
            return
        if self._reset_held:
            self._release_reset()
        elif self.power is Power.ON and held_us >= self.part.turn_off_us:
            self.power_down(normal=True)

    def reset_n(self, level: int | None) -> None:
        """Take a new level of RESET_N."""
        self._edge("RESET_N", level)
        if level == 0:
            self._hold("reset", self.clock.now_us + self.part.reset_us, self._hold_reset)
        elif self._reset_held:
            self._release_reset()

    def _edge(self, pin: str, level: int | None) -> int:
        """Note an edge; return for how many microseconds the pin was low before a rising one."""
        for name in (pin, "reset"):
            if level != 0 and name in self._holds:
                self._holds.pop(name).cancel()
        if level == 0:
            self._lows[pin] = self.clock.now_us
            return 0
        fell_us = self._lows.pop(pin, None)
        return 0 if fell_us is None else self.clock.now_us - fell_us

    def _hold(self, name: str, us: int, fn: Callable[[], object]) -> None:
        self._holds[name] = self.clock.call_at(us, fn)

    def _turn_on(self) -> None:
        if self.power in (Power.OFF, Power.PSM):
            self._boot(self.clock.now_us - self.part.turn_on_us)

    def _hold_reset(self) -> None:
        if self.power is not Power.UNPOWERED and self.power is not Power.OFF:
            self._cut(Power.OFF)
            self._reset_held = True

    def _release_reset(self) -> None:
        self._reset_held = False
        if self.power is Power.OFF:
            self._boot(self.clock.now_us)

    # --- life

    def _become(self, power: Power) -> None:
        self.power = power
        self.journal.note("modem-power", state=power.value)
        self._draws.power(power.value)
        if self.status:
            self.status.drive(1 if power in (Power.ON, Power.STOPPING) else 0)

    def _cut(self, power: Power) -> None:
        """End everything at once and go to the state ``power``."""
        self._epoch += 1
        self._reset_held = False
        self.tcpip.reset()
        self.tls.reset()
        self.gnss.reset()
        self.radio.reset()
        self.general.reset()
        self.port.reset()
        self._become(power)

    def _boot(self, began_us: int) -> None:
        self._become(Power.BOOTING)
        now_us = self.clock.now_us
        if self.status:
            status = self.status
            self.after(max(0, began_us + self.part.status_us - now_us), lambda: status.drive(1))
        self.after(max(0, began_us + self.part.uart_us - now_us), self._ready)

    def _ready(self) -> None:
        self._become(Power.ON)
        self.port.report("RDY")
        self.after(self._draw(APPLICATION_MS), self._application_ready)

    def _application_ready(self) -> None:
        self.port.report("APP RDY")
        self.general.start()

    def restart(self) -> None:
        """Restart the module: it does so by itself, or because of AT+CFUN=1,1."""
        if self.power is Power.ON:
            self._cut(Power.OFF)
            self._boot(self.clock.now_us)

    def _rest(self, us: int) -> None:
        """Enter PSM: every socket ends, and the module is silent until PWRKEY or for ``us``."""
        if self.power is not Power.ON:
            return
        if self.general.settings["psm/urc"] == "1":
            self.port.report("PSM POWER DOWN")
        self._cut(Power.PSM)
        self.after(us, lambda: self._boot(self.clock.now_us))

    def brown_out(self) -> None:
        """Turn off, as when the transmitter pulls the supply down, until PWRKEY turns it on."""
        if self.power in (Power.BOOTING, Power.ON):
            self._cut(Power.OFF)

    def power_down(self, normal: bool) -> None:
        """Detach from the network, report POWERED DOWN, and switch off."""
        if self.power is not Power.ON:
            return
        self._become(Power.STOPPING)
        us = self._draw(IMMEDIATE_MS)
        if normal:
            us = self.part.power_down_us + self._draw(DETACH_MS)
        self.tcpip.log_off()
        self.gnss.stop()
        self.radio.stop()
        self.after(us, self._powered_down)

    def _powered_down(self) -> None:
        self.port.report("POWERED DOWN")
        self._cut(Power.OFF)
