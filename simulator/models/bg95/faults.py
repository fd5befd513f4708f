"""Faults of the module that a test lets begin at one AT exchange."""

from __future__ import annotations

import enum
import random
from collections.abc import Callable

from coldtrail_simulator.clock import US_PER_MS, US_PER_S
from coldtrail_simulator.models.bg95.modem import BG95

LATE_US = 7 * US_PER_S
LOSS = 0.004
LOSS_US = 60 * US_PER_S
HOUR_MS = 3_600_000


class Fault(enum.Enum):
    """One kind of fault; the ``PERMANENT`` ones last until the end of the run."""

    NO_ANSWER = "no answer"
    LATE = "late answer"
    ERROR = "ERROR"
    GARBAGE = "garbage"
    CUT = "answer cut in half"
    LOST_URC = "lost URC"
    RESET = "spontaneous reset"
    HALF_OPEN = "half-open TCP"
    LOSS = "slow loss of bytes"
    BROWN_OUT = "brown-out while sending"
    CLOCK = "clock an hour off"
    SIM_GONE = "SIM gone"
    SILENCE = "nothing at all any more"


PERMANENT = (Fault.SIM_GONE, Fault.SILENCE)


class Faults:
    """Starts one fault at one exchange of the run, counted as the journal's ``at`` notes are."""

    def __init__(self, modem: BG95, rng: random.Random, exchange: int, fault: Fault) -> None:
        self._modem = modem
        self._rng = rng
        self._exchange = exchange
        self._fault = fault
        self._current = 0
        self._done = False
        self._loss_until_us = 0
        self.begun = False
        modem.port.disturbance = self

    def begin(self, exchange: int) -> int | None:
        """Note an exchange; return its delay in microseconds, None for an ERROR."""
        self._current = exchange
        if exchange != self._exchange:
            return 0
        self.begun = True
        modem, fault = self._modem, self._fault
        modem.journal.note("fault", fault=fault.value)
        if fault is Fault.ERROR:
            return None
        if fault is Fault.LATE:
            return LATE_US
        act: dict[Fault, Callable[[], object]] = {
            Fault.RESET: modem.restart,
            Fault.BROWN_OUT: modem.brown_out,
            Fault.HALF_OPEN: modem.network.freeze,
            Fault.SIM_GONE: modem.general.lose_sim,
            Fault.CLOCK: self._shift_clock,
        }
        if fault in act:
            modem.after(self._rng.randint(1, 8) * US_PER_MS, act[fault])
        self._loss_until_us = modem.clock.now_us + LOSS_US
        return 0

    def _shift_clock(self) -> None:
        radio = self._modem.radio
        radio.error_ms = HOUR_MS
        radio.shift_ms(HOUR_MS)

    def spoil(self, kind: str, data: bytes) -> bytes:
        """Return the bytes that reach the host when the module sends ``data``."""
        if not self.begun:
            return data
        fault = self._fault
        if fault is Fault.SILENCE:
            return b""
        if fault is Fault.LOSS:
            if self._modem.clock.now_us >= self._loss_until_us:
                return data
            return bytes(byte for byte in data if self._rng.random() >= LOSS)
        if fault is Fault.LOST_URC:
            if kind == "urc" and not self._done:
                self._done = True
                return b""
            return data
        if self._current != self._exchange or kind not in ("answer", "prompt"):
            return data
        if fault is Fault.NO_ANSWER:
            return b""
        if fault is Fault.GARBAGE:
            return self._rng.randbytes(len(data))
        if fault is Fault.CUT:
            return data[: len(data) // 2]
        return data
