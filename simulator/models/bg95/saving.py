"""Power saving mode (PSM) and extended DRX: the module asks for them, the network grants them.

Sources: 3GPP TS 27.007, 7.38 (CPSMS), 7.40 (CEDRXS), 7.41 (CEDRXRDP), 10.1.22 (CEREG); TS 24.008,
10.5.7.3 (T3324), 10.5.7.4a (T3412 extended), 10.5.5.32 (eDRX).
"""

from __future__ import annotations

import re
from collections.abc import Callable

from coldtrail_simulator.clock import US_PER_S, Handle
from coldtrail_simulator.models.bg95.at import Args, AtError, Command, Form, Quoted, Result, answer
from coldtrail_simulator.models.bg95.past import Past
from coldtrail_simulator.models.bg95.radio import Radio

ACTIVE_S = {0: 2, 1: 60, 2: 360, 7: None}
TAU_S = {0: 600, 1: 3600, 2: 36_000, 3: 2, 4: 30, 5: 60, 6: 1_152_000, 7: None}
EDRX_ACCESS = {"CAT-M1": 4, "CAT-NB1": 5}
WINDOW = "0011"
"""The paging time window, which the network chooses."""


class Saving:
    """The commands, and the decision when the module enters PSM.

    Args:
        is_idle: returns whether no traffic is under way on the air.
        rest: puts the module into PSM for at most the given microseconds.
    """

    def __init__(
        self,
        radio: Radio,
        after: Callable[[int, Callable[[], object]], Handle],
        is_idle: Callable[[], bool],
        rest: Callable[[int], object],
        past: Past,
    ) -> None:
        self._radio = radio
        self._after = after
        self._is_idle = is_idle
        self._rest = rest
        # The module keeps these in its flash.
        self._on = past.psm is not None
        self._asked = past.psm or ("00000001", "00000001")
        self._edrx = dict(past.edrx)
        self._due: Handle | None = None

    def commands(self) -> dict[str, Command]:
        """Return the commands by their names."""
        return {"+CPSMS": self._mode, "+CEDRXS": self._cycle, "+CEDRXRDP": self._granted_cycle}

    def granted(self) -> tuple[str, str] | None:
        """Return T3412 extended and T3324 as the network grants them; None without PSM."""
        cell = self._radio.cell
        if not self._on or cell is None or not cell.psm:
            return None
        return cell.psm_timers or self._asked

    def released(self) -> None:
        """Start T3324, because the network has released the connection."""
        if self._due:
            self._due.cancel()
        found = self.granted()
        if found is None or not self._radio.registered:
            return
        tau_s, active_s = seconds(found[0], TAU_S), seconds(found[1], ACTIVE_S)
        if tau_s is None or active_s is None:
            return
        tau_us = tau_s * US_PER_S
        self._due = self._after(active_s * US_PER_S, lambda: self._fall_asleep(tau_us))

    def _fall_asleep(self, tau_us: int) -> None:
        if self._is_idle():
            self._rest(tau_us)

    def _mode(self, form: Form, args: Args) -> Result:
        if form is Form.TEST:
            return answer('+CPSMS: (0-2),,,("00000000"-"11111111"),("00000000"-"11111111")')
        if form is Form.READ:
            tau, active = self._asked
            return answer(f'+CPSMS: {int(self._on)},,,"{tau}","{active}"')
        if form is not Form.WRITE:
            raise AtError
        mode = args.number(0, 0, 2)
        tau, active = (_bits(args, place, 8, self._asked[place - 3]) for place in (3, 4))
        self._on, self._asked = mode == 1, (tau, active)
        return answer()

    def _cycle(self, form: Form, args: Args) -> Result:
        if form is Form.TEST:
            return answer('+CEDRXS: (0-3),(4,5),("0000"-"1111")')
        if form is Form.READ:
            return answer(*(f'+CEDRXS: {act},"{value}"' for act, value in self._edrx.items()))
        if form is not Form.WRITE:
            raise AtError
        mode, access = args.number(0, 0, 3), args.number(1, 4, 5)
        self._edrx.pop(access, None)
        if mode in (1, 2):
            self._edrx[access] = _bits(args, 2, 4, "0010")
        return answer()

    def _granted_cycle(self, form: Form, _args: Args) -> Result:
        if form is Form.TEST:
            return answer()
        cell = self._radio.cell
        access = EDRX_ACCESS.get(cell.technology) if cell else None
        if cell is None or access not in self._edrx:
            return answer("+CEDRXRDP: 0")
        asked = self._edrx[access]
        if not cell.edrx:
            return answer(f'+CEDRXRDP: {access},"{asked}"')
        return answer(f'+CEDRXRDP: {access},"{asked}","{cell.edrx_cycle or asked}","{WINDOW}"')


def seconds(bits: str, units: dict[int, int | None]) -> int | None:
    """Return the seconds of a GPRS timer; None when it is deactivated."""
    # By the standard other units mean minutes (T3324) or tens of minutes. The modelled networks
    # grant none of these.
    unit = units.get(int(bits[:3], 2), 60)
    return None if unit is None else unit * int(bits[3:], 2)


def _bits(args: Args, place: int, size: int, default: str) -> str:
    item = args.items[place] if place < len(args) else ""
    if item == "":
        return default
    if not isinstance(item, Quoted) or not re.fullmatch(f"[01]{{{size}}}", item):
        raise AtError
    return str(item)
