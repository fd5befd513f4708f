"""The ESP32's pads: existing pins, pins that can be held or can wake (ESP32 datasheet, TRM)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from coldtrail_simulator.wires import Net, Terminal

RTC_PINS: Final = frozenset({0, 2, 4, 12, 13, 14, 15, 25, 26, 27, *range(32, 40)})
"""Pins that work in deep sleep and can wake the chip (datasheet, RTC_MUX)."""
INPUT_ONLY_PINS: Final = frozenset(range(34, 40))
ADC_PINS: Final = RTC_PINS
MODULE_FLASH_PINS: Final = frozenset(range(6, 12))
CONSOLE_PINS: Final = frozenset({1, 3})
PINS: Final = frozenset({*range(20), 21, 22, 23, 25, 26, 27, *range(32, 40)})

EXT0_WAKE, EXT1_WAKE, TIMER_WAKE = 2, 3, 4
"""Values of ``machine.wake_reason()``."""


class Pin:
    """One pad: its configuration by the firmware, and the latch that holds it in sleep."""

    def __init__(self, number: int, net: Net) -> None:
        self.number = number
        self.terminal: Terminal = net.attach("chip")
        self.held = False
        self.irq = 0
        self.forget()

    def forget(self) -> None:
        """Reset the registers."""
        self.mode = 0
        self.pull = 0
        self.out = 0
        self.irq = 0

    def settle(self) -> None:
        """Apply the registers to the pad, unless it is held."""
        if self.held:
            return
        drives = self.mode & 2 and not (self.mode & 4 and self.out)
        self.terminal.drive(self.out if drives else None)
        self.terminal.pull({1: 0, 2: 1}.get(self.pull))


class WakePins:
    """The armed wake sources: ext0 is one pin, ext1 several pins with one level."""

    def __init__(self, nets: Mapping[int, Net]) -> None:
        self._nets = nets
        self.forget()

    def forget(self) -> None:
        """Disarm all wake sources."""
        self.ext0: tuple[int, int] | None = None
        self.ext1: tuple[frozenset[int], int] = (frozenset(), 0)

    @property
    def armed(self) -> bool:
        """Whether any wake source is armed."""
        return bool(self.ext0 or self.ext1[0])

    def standing(self) -> tuple[int, bytes] | None:
        """Return (reason, pins) when a pin has a level that wakes the chip."""
        if self.ext0 and self._nets[self.ext0[0]].level == self.ext0[1]:
            return EXT0_WAKE, b""
        pins, level = self.ext1
        there = bytes(sorted(n for n in pins if self._nets[n].level == level))
        if there and (level or len(there) == len(pins)):
            return EXT1_WAKE, there
        return None

    def floating(self) -> tuple[int, bytes] | None:
        """Return (reason, pins) for the first floating pin, which will wake the chip at random.

        The input of an open pad follows whatever its surroundings couple into it.
        """
        if self.ext0 and self._nets[self.ext0[0]].level is None:
            return EXT0_WAKE, b""
        pins, level = self.ext1
        open_pins = [n for n in sorted(pins) if self._nets[n].level is None]
        others = pins - set(open_pins)
        if open_pins and (level or all(self._nets[n].level == 0 for n in others)):
            return EXT1_WAKE, bytes(open_pins[:1] if level else sorted(pins))
        return None
