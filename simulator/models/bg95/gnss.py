"""The satellite receiver, which shares its front end with the radio.

Source: BG96 GNSS AT Commands Manual V1.1 (2018-02-05), 2.1, 2.3 to 2.5, 4. "priority" belongs to
the BG95, whose radio and satellite receiver cannot receive at the same time.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from coldtrail_simulator.clock import US_PER_S, Clock
from coldtrail_simulator.journal import Journal
from coldtrail_simulator.models.bg95.at import Args, AtError, Command, Form, Result, answer
from coldtrail_simulator.models.bg95.part import Part

INVALID, ONGOING, NOT_ACTIVE, NOT_FIXED = 501, 504, 505, 516
FIRST_FIX_S = (24, 45)
"""Seconds from a cold start to a fix under open sky; the hardware design states about 30 s."""


@dataclass(frozen=True)
class Fix:
    """The position that the receiver computes, in degrees and metres."""

    latitude: float
    longitude: float
    hdop: float = 0.9
    altitude: float = 60.0
    satellites: int = 9
    mode: int = 3
    """2 for a fix in two dimensions, 3 for a fix with height."""
    days_off: int = 0
    """A fault: the date is wrong by this many days, as when the week counter has rolled over."""


Sky = Callable[[float], Fix | None]
"""The position at a virtual time in seconds, or None without satellites in view."""


class Gnss:
    """The GNSS commands.

    Args:
        radio_busy: returns whether the radio uses the front end.
        seize: called with whether the satellite receiver takes the front end from the radio.
    """

    def __init__(
        self,
        clock: Clock,
        rng: random.Random,
        journal: Journal,
        part: Part,
        sky: Sky,
        utc_ms: Callable[[], int],
        radio_busy: Callable[[], bool],
        seize: Callable[[bool], object],
    ) -> None:
        self._clock = clock
        self._rng = rng
        self._journal = journal
        self._part = part
        self._sky = sky
        self._utc_ms = utc_ms
        self._radio_busy = radio_busy
        self._seize = seize
        self._priority = 0
        self.on = False
        self.switched: Callable[[bool], object] = lambda _on: None
        self._needed_us = 0
        self._received_us = 0
        self._asked_us = 0

    def reset(self) -> None:
        """Return to the state after power-on; the priority is kept."""
        self._switch(on=False)

    def commands(self) -> dict[str, Command]:
        """Return the commands by their names."""
        return {
            "+QGPS": self._begin,
            "+QGPSEND": self._end,
            "+QGPSLOC": self._location,
            "+QGPSCFG": self._configure,
        }

    def _configure(self, form: Form, args: Args) -> Result:
        if form is not Form.WRITE:
            raise AtError(INVALID)
        if args.text(0) != "priority" or not self._part.later_firmware:
            raise AtError(INVALID)
        if len(args) == 1:
            return answer(f'+QGPSCFG: "priority",{self._priority}')
        self._priority = args.number(1, 0, 1)
        if self.on:
            self._seize(self._priority == 0)
        return answer()

    def _begin(self, form: Form, args: Args) -> Result:
        if form is Form.READ:
            return answer(f"+QGPS: {int(self.on)}")
        if form is not Form.WRITE:
            raise AtError(INVALID)
        args.number(0, 1, 1)
        if self.on:
            raise AtError(ONGOING)
        self._switch(on=True)
        self._needed_us = self._rng.randint(*FIRST_FIX_S) * US_PER_S
        self._received_us = 0
        self._asked_us = self._clock.now_us
        self._seize(self._priority == 0)
        return answer()

    def stop(self) -> None:
        """Switch the receiver off."""
        if self.on:
            self._switch(on=False)
            self._seize(False)

    def _switch(self, *, on: bool) -> None:
        if on != self.on:
            self.on = on
            self._journal.note("gnss", on=on)
            self.switched(on)

    def _end(self, form: Form, _args: Args) -> Result:
        if form is Form.TEST:
            return answer()
        if not self.on:
            raise AtError(NOT_ACTIVE)
        self.stop()
        return answer()

    def _location(self, form: Form, args: Args) -> Result:
        if form is Form.TEST or not self.on:
            raise AtError(NOT_ACTIVE)
        mode = args.number(0, 0, 2) if form is Form.WRITE else 0
        fix = self._sky(self._clock.now_us / US_PER_S)
        if fix and (self._priority == 0 or not self._radio_busy()):
            self._received_us += self._clock.now_us - self._asked_us
        elif fix is None:
            self._received_us = 0
        self._asked_us = self._clock.now_us
        if fix is None or self._received_us < self._needed_us:
            raise AtError(NOT_FIXED)
        now = datetime.fromtimestamp(self._utc_ms() / 1000, UTC) + timedelta(days=fix.days_off)
        place = f"{_coordinate(fix.latitude, mode, 'NS')},{_coordinate(fix.longitude, mode, 'EW')}"
        self._journal.note("fix", latitude=fix.latitude, longitude=fix.longitude)
        return answer(
            f"+QGPSLOC: {now:%H%M%S}.0,{place},{fix.hdop:.1f},{fix.altitude:.1f},{fix.mode},"
            f"0.0,0.0,0.0,{now:%d%m%y},{fix.satellites:02d}"
        )


def _coordinate(degrees: float, mode: int, hemispheres: str) -> str:
    if mode == 2:
        return f"{degrees:.5f}"
    width, places = (2 if hemispheres == "NS" else 3), (4 if mode == 0 else 6)
    minutes = round(abs(degrees) * 60, places)
    whole, rest = divmod(minutes, 60)
    return f"{int(whole):0{width}d}{rest:0{places + 3}.{places}f}{hemispheres[degrees < 0]}"
