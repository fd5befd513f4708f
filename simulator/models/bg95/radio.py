"""The radio: registration that follows coverage, signal, network time.

Sources: BG96 AT Commands Manual V2.2, 6.2 (COPS), 6.3 (CSQ), 6.7 (CTZU), 6.16 (QLTS), 6.17
(QNWINFO), 6.18 (QCSQ), 9.1 (CGATT), 9.5 (CGREG), 9.11 (CEREG), 11.2 (CCLK); 3GPP TS 27.007.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

from coldtrail_simulator.clock import US_PER_MS, US_PER_S, Clock, Handle
from coldtrail_simulator.journal import Journal
from coldtrail_simulator.models.bg95.past import Past

LOOK_US = US_PER_S
"""How often the model checks whether there is coverage."""
REGISTER_MS = (3_000, 11_000)
"""A search that begins with the last cell and band takes seconds on LTE-M."""
NOTICE_LOSS_MS = (4_000, 12_000)
DEACTIVATE_MS = (60_000, 240_000)
"""After this time without coverage the network releases the PDP context."""
NITZ_MS = (300, 2_000)
NITZ_LAG_MS = (20, 250)
"""By how much the network's time is late when it arrives."""

IDLE, HOME, SEARCHING, DENIED, UNKNOWN, ROAMING = range(6)
ACCESS = {"GSM": 0, "CAT-M1": 8, "CAT-NB1": 9}


@dataclass(frozen=True)
class Cell:
    """A cell in reach, as the world offers it.

    ``rssi`` and ``rsrp`` are in dBm, ``sinr`` and ``rsrq`` in dB, ``time_zone`` in quarters of an
    hour. ``nitz`` says whether the network sends its time, ``nitz_error_ms`` how wrong that is.
    ``psm`` and ``edrx`` say whether the network grants these. ``psm_timers`` (T3412 extended,
    T3324) and ``edrx_cycle``, if set, are granted in place of what the module asked for.
    """

    technology: str = "CAT-M1"
    operator: str = "Example"
    plmn: str = "00101"
    home: bool = False
    area: int = 0x1F40
    identity: int = 0x01A2D005
    band: str = "LTE BAND 20"
    channel: int = 6300
    rssi: int = -67
    rsrp: int = -95
    sinr: int = 9
    rsrq: int = -10
    nitz: bool = True
    nitz_error_ms: int = 0
    time_zone: int = 0
    psm: bool = True
    psm_timers: tuple[str, str] | None = None
    edrx: bool = True
    edrx_cycle: str = ""


class Reception(Protocol):
    """The coverage where the tracker is."""

    def coverage(self, t_s: float) -> Cell | None:
        """Return the cell in reach at a virtual time in seconds, or None."""


class Radio:
    """Everything about the network except data.

    Attributes:
        changed: called with the text of a +CEREG code when the registration changes.
        moved: called with <stat> and the cell at every change.
        reachable: called with whether data can flow when that changes.
        deactivated: called when the network has released the PDP contexts.
    """

    def __init__(
        self,
        clock: Clock,
        rng: random.Random,
        journal: Journal,
        world: Reception,
        utc_ms: Callable[[], int],
        after: Callable[[int, Callable[[], object]], Handle],
        modes: Mapping[str, str],
        past: Past,
    ) -> None:
        self._clock = clock
        self._rng = rng
        self._journal = journal
        self._world = world
        self._utc_ms = utc_ms
        self._after = after
        self._modes = modes
        self.bound_to = past.operator
        """The PLMN that was chosen by AT+COPS; it outlives the supply."""
        self.changed: Callable[[str], object] = lambda _code: None
        self.moved: Callable[[int, Cell | None], object] = lambda _stat, _cell: None
        self.reachable: Callable[[bool], object] = lambda _reachable: None
        self.deactivated: Callable[[], object] = lambda: None
        self.timers: Callable[[], tuple[str, str] | None] = lambda: None
        """Returns T3412 extended and T3324 as the network grants them."""
        self.error_ms = 0
        """A further error that the time of every network has."""
        self.time_zone_update = 0
        self.rtc = RealTimeClock(clock)
        self.reset()

    def reset(self) -> None:
        """Return to the state after power-on: not transmitting, with unknown time."""
        self.stat = IDLE
        self.cell: Cell | None = None
        self.moved(IDLE, None)
        self.report = self.packet_report = 0
        self.operator_mode = int(bool(self.bound_to))
        self.operator_format = 0
        self.network_time: RealTimeClock | None = None
        self._on = False
        self._blocked = False
        self._in_reach = False
        self._pending: Handle | None = None
        self._loss: Handle | None = None
        self._looking: Handle | None = None

    # --- registration

    def start(self) -> None:
        """Begin to search for a network."""
        if not self._on:
            self._on = True
            self._become(SEARCHING)
            self._look()

    def stop(self) -> None:
        """Stop transmitting and receiving."""
        self._on = False
        for handle in (self._pending, self._loss, self._looking):
            if handle:
                handle.cancel()
        self._pending = self._loss = self._looking = None
        self._set_reach(in_reach=False)
        self.cell = None
        self._become(IDLE)

    @property
    def registered(self) -> bool:
        return self.stat in (HOME, ROAMING)

    @property
    def attached(self) -> bool:
        """Whether data can flow."""
        return self.registered and self._in_reach

    def block(self, blocked: bool) -> None:
        """Note that the satellite receiver takes the front end, or gives it back."""
        self._blocked = blocked

    def in_view(self) -> Cell | None:
        """Return the cell that the receiver hears, registered or not."""
        return None if self._blocked else self._world.coverage(self._clock.now_us / US_PER_S)

    def _usable(self) -> Cell | None:
        cell = self.in_view()
        return None if cell and self.bound_to and cell.plmn != self.bound_to else cell

    def _look(self) -> None:
        self._looking = self._after(LOOK_US, self._look)
        cell = self._usable()
        self._set_reach(in_reach=cell is not None)
        if cell is None:
            if self._pending:
                self._pending.cancel()
                self._pending = None
            if self.registered and not self._loss:
                self._loss = self._after(self._draw(NOTICE_LOSS_MS), self._lose)
            return
        if self._loss and self.registered:
            self._loss.cancel()
            self._loss = None
        if not self.registered:
            if not self._pending:
                self._pending = self._after(self._draw(REGISTER_MS), self._register)
        elif cell != self.cell:
            self.cell = cell
            self._become(HOME if cell.home else ROAMING, moved=True)

    def _register(self) -> None:
        self._pending = None
        cell = self._usable()
        if cell is None:
            return
        if self._loss:
            self._loss.cancel()
            self._loss = None
        self.cell = cell
        self._become(HOME if cell.home else ROAMING)
        self._set_reach(in_reach=True)
        self.reachable(True)
        if cell.nitz:
            self._after(self._draw(NITZ_MS), self._take_time)

    def _lose(self) -> None:
        self.cell = None
        self._become(SEARCHING)
        self._loss = self._after(self._draw(DEACTIVATE_MS), self._give_up)

    def _give_up(self) -> None:
        self._loss = None
        self.deactivated()

    def _set_reach(self, *, in_reach: bool) -> None:
        if in_reach == self._in_reach:
            return
        self._in_reach = in_reach
        if not in_reach or self.registered:
            self.reachable(in_reach)

    def _become(self, stat: int, *, moved: bool = False) -> None:
        before, self.stat = self.stat, stat
        if before == stat and not moved:
            return
        self._journal.note("registration", stat=stat)
        self.moved(stat, self.cell)
        if self.report in (2, 4) or (self.report == 1 and before != stat):
            self.changed(f"+CEREG: {self.state_text()}")

    def _draw(self, span_ms: tuple[int, int]) -> int:
        return self._rng.randint(*span_ms) * US_PER_MS

    def state_text(self) -> str:
        """Return <stat>[,<tac>,<ci>,<Act>[,,,<Active-Time>,<Periodic-TAU>]] for AT+CEREG.

        AT+CEREG covers LTE only: in GSM it reports that the module is not registered.
        """
        if self.cell and self.cell.technology == "GSM":
            return str(IDLE)
        timers = self.timers() if self.report == 4 and self.cell else None
        text = self._stat_text(self.report)
        return text + (f',,,"{timers[1]}","{timers[0]}"' if timers else "")

    def packet_text(self) -> str:
        """Return <stat>[,<lac>,<ci>,<Act>] for AT+CGREG, whatever the technology."""
        return self._stat_text(self.packet_report)

    def _stat_text(self, report: int) -> str:
        cell = self.cell
        if report not in (2, 4) or not cell:
            return str(self.stat)
        return f'{self.stat},"{cell.area:X}","{cell.identity:X}",{ACCESS[cell.technology]}'

    # --- what is known of the network

    def operator_text(self) -> str:
        """Return <mode>[,<format>,<oper>,<Act>] as AT+COPS? gives it."""
        if not self.cell:
            return str(self.operator_mode)
        name = self.cell.plmn if self.operator_format == 2 else self.cell.operator
        access = ACCESS[self.cell.technology]
        return f'{self.operator_mode},{self.operator_format},"{name}",{access}'

    def signal_text(self) -> str:
        """Return what follows +QCSQ: in AT+QCSQ."""
        cell = self.cell
        if cell is None:
            return '"NOSERVICE"'
        mode = self._modes[cell.technology]
        if cell.technology == "GSM":
            return f'"{mode}",{cell.rssi}'
        # The values 0 to 250 stand for -20 to +30 dB.
        sinr = max(0, min(250, 5 * (cell.sinr + 20)))
        return f'"{mode}",{cell.rssi},{cell.rsrp},{sinr},{cell.rsrq}'

    def quality_text(self) -> str:
        """Return <rssi>,<ber> as AT+CSQ gives it."""
        if self.cell is None:
            return "99,99"
        return f"{max(0, min(31, (self.cell.rssi + 113) // 2))},99"

    def information_text(self) -> str:
        """Return what follows +QNWINFO: in AT+QNWINFO."""
        cell = self.cell
        if cell is None:
            return "No Service"
        return f'"{self._modes[cell.technology]}","{cell.plmn}","{cell.band}",{cell.channel}'

    # --- time

    def _take_time(self) -> None:
        if self.cell is None or not self.cell.nitz:
            return
        lag = self._rng.randint(*NITZ_LAG_MS)
        utc_ms = self._utc_ms() - lag + self.cell.nitz_error_ms + self.error_ms
        self._journal.note("network-time", utc_ms=utc_ms)
        self.network_time = RealTimeClock(self._clock)
        self.network_time.set(utc_ms, self.cell.time_zone)
        if self.time_zone_update:
            self.rtc.set(utc_ms, self.cell.time_zone)
            self.rtc.local = self.time_zone_update == 3

    def shift_ms(self, ms: int) -> None:
        """Advance every clock of the module."""
        for clock in filter(None, (self.network_time, self.rtc)):
            clock.shift_ms(ms)

    def time_text(self, mode: int) -> str:
        """Return what follows +QLTS: in AT+QLTS=<mode>."""
        if self.network_time is None:
            return '""'
        synced = self.network_time
        moment = synced.taken() if mode == 0 else synced.utc()
        if mode == 2:
            moment += timedelta(minutes=15 * synced.time_zone)
        return f'"{moment:%Y/%m/%d,%H:%M:%S}{synced.time_zone:+03d},0"'


class RealTimeClock:
    """The module's clock: it starts at 1980-01-06, the beginning of GPS time."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.taken_us = clock.now_us
        self._utc_ms = 315_964_800_000
        self.time_zone = 0
        """The time zone in quarters of an hour."""
        self.local = False
        """Whether AT+CCLK? shows local time."""

    def set(self, utc_ms: int, time_zone: int) -> None:
        """Set the time, as of now."""
        self.taken_us = self._clock.now_us
        self._utc_ms = utc_ms
        self.time_zone = time_zone

    def shift_ms(self, ms: int) -> None:
        """Advance the clock."""
        self._utc_ms += ms

    def taken(self) -> datetime:
        """Return the UTC that the clock was set to."""
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=self._utc_ms)

    def utc(self) -> datetime:
        """Return UTC as this clock shows it."""
        return self.taken() + timedelta(microseconds=self._clock.now_us - self.taken_us)

    def set_text(self, text: str) -> None:
        """Set the clock to <time> of AT+CCLK=; raises ValueError."""
        moment = datetime.strptime(text[:-3], "%y/%m/%d,%H:%M:%S").replace(tzinfo=UTC)
        zone = int(text[-3:])
        if not -48 <= zone <= 56:
            raise ValueError(text)
        self.local = True
        moment -= timedelta(minutes=15 * zone)
        self.set(int(moment.timestamp() * 1000), zone)

    def text(self) -> str:
        """Return the time as AT+CCLK? shows it."""
        moment = self.utc()
        if self.local:
            moment += timedelta(minutes=15 * self.time_zone)
        return f'"{moment:%y/%m/%d,%H:%M:%S}{self.time_zone:+03d}"'
