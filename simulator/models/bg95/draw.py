"""The current that the module draws: it follows from power, registration and traffic on the air.

A registered module is RRC connected while there is traffic, and for the network's inactivity timer
afterwards (3GPP TS 36.331, 5.3.8 describes the release). The operator chooses the timer; 10 to
20 s is usual, and the model assumes 10 s without connected-mode DRX. The time of transmission
follows from the number of bytes and the signal.
"""

from __future__ import annotations

from collections.abc import Callable

from coldtrail_simulator.clock import US_PER_MS, US_PER_S, Clock, Handle
from coldtrail_simulator.energy import OFF, Load
from coldtrail_simulator.models.bg95.radio import HOME, IDLE, ROAMING, Cell
from coldtrail_simulator.models.currents import BG95

INACTIVITY_US = 10 * US_PER_S

# These times are assumed from the messages of TS 36.331 and 24.301: random access with RRC set-up,
# attach with authentication and security (the same for detach), and the answer to one downlink
# packet (HARQ, RLC, TCP).
SETUP_US = 30 * US_PER_MS
ATTACH_US = 150 * US_PER_MS
ANSWER_US = 8 * US_PER_MS
HEADERS = 40  # IPv4 and TCP
# Uplink rates in bits per second; that of half-duplex LTE-M is the reference channel's in TS
# 36.521-1. Below LIMIT_DBM (RSRP) the transmitter is at its limit, and the rate falls with the
# received power.
RATE_BPS = {"CAT-M1": 180_000, "CAT-NB1": 20_000, "GSM": 20_000}
LIMIT_DBM = -108


def transmit_us(data: int, cell: Cell) -> int:
    """Return the microseconds for which ``data`` bytes with their headers are transmitted."""
    weak = max(0, LIMIT_DBM - cell.rsrp) / 10
    return round((data + HEADERS) * 8 * US_PER_S / RATE_BPS[cell.technology] * 10**weak)


class Draw:
    """The module's load on the battery, and the rules for the sequence of its states."""

    def __init__(self, clock: Clock) -> None:
        self.load = Load(clock, BG95)
        self._clock = clock
        self._power = OFF
        self._stat = IDLE
        self._cell = Cell()
        self._connected = False
        self._satellites = False
        self._release: Handle | None = None
        self.released: Callable[[], object] = lambda: None
        """Called when the network has released the connection."""

    @property
    def is_idle(self) -> bool:
        """Whether no traffic is under way on the air."""
        return not self._connected and not self._satellites

    def power(self, state: str) -> None:
        """Note the module's new power state: unpowered, off, psm, booting, on, stopping."""
        self._power = state
        if state in ("unpowered", "off", "psm"):
            self._leave()
            self._satellites = False
        self._settle()

    def registration(self, stat: int, cell: Cell | None) -> None:
        """Note a change of <stat> as AT+CEREG reports it."""
        came = stat in (HOME, ROAMING) and self._stat not in (HOME, ROAMING)
        self._stat = stat
        if stat in (HOME, ROAMING):
            self._cell = cell or self._cell
            if came:
                self._transmit(ATTACH_US)
        elif self._power != "stopping":
            self._leave()
        self._settle()

    def satellites(self, on: bool) -> None:
        """Note that the satellite receiver is on or off; while on, the radio does not receive."""
        self._satellites = on
        self._settle()

    def packet(self, up: int, down: int) -> None:
        """Note a packet with ``up`` bytes to the network or ``down`` bytes from it.

        The module answers each packet from the network, which takes time on the air too.
        """
        if self._stat in (HOME, ROAMING):
            self._transmit(transmit_us(up, self._cell) if up else ANSWER_US * (down > 0))

    def _transmit(self, us: int) -> None:
        if not self._connected:
            self._connected = True
            us += SETUP_US
            self._settle()
        if self._release:
            self._release.cancel()
        self._release = self._clock.call_after(INACTIVITY_US, self._quiet)
        self.load.spend(f"transmitting, {self._cell.technology}", us)

    def _quiet(self) -> None:
        self._leave()
        self._settle()
        self.released()

    def _leave(self) -> None:
        self._connected = False
        if self._release:
            self._release.cancel()

    def _settle(self) -> None:
        if self._power == "unpowered":
            state = OFF
        elif self._power == "off":
            state = "powered down"
        elif self._power == "psm":
            state = "PSM"
        elif self._power == "booting":
            state = "booting"
        elif self._connected or self._power == "stopping":
            state = "connected"
        elif self._satellites:
            state = "GNSS"
        elif self._stat in (HOME, ROAMING, IDLE):
            state = "idle"
        else:
            state = "searching"
        self.load.become(state)
