"""The pins and buses that each chip offers to a board."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from coldtrail_simulator.esp32 import pads


@dataclass(frozen=True)
class Rules:
    """The rules of one chip with its MicroPython."""

    pins: frozenset[int]
    taken: Mapping[str, frozenset[int]]
    """Pins that are used otherwise, by their use."""
    analog: frozenset[int]
    buses: Mapping[str, tuple[int, ...]]
    """Numbers of the buses that parts can use."""
    input_only: frozenset[int] = frozenset()
    fixed: Mapping[tuple[str, int], Mapping[str, int]] = field(default_factory=dict)
    """Buses whose pins are fixed in the image."""
    shared: frozenset[int] = frozenset()
    """Numbers at which an SPI and an I2C bus share their registers."""
    wakes: frozenset[int] = frozenset()
    """Pins that a board file may list as wake sources."""
    required: Mapping[str, type] = field(default_factory=dict)
    """Further names that a board file must define, with their types."""
    optional: Mapping[str, type] = field(default_factory=dict)
    """Further names that a board file may define, with their types."""


ESP32: Final = Rules(
    pins=pads.PINS,
    taken={"the module's own flash": pads.MODULE_FLASH_PINS, "the console": pads.CONSOLE_PINS},
    analog=pads.ADC_PINS,
    buses={"I2C": (0, 1), "SPI": (1, 2), "UART": (1, 2)},
    input_only=pads.INPUT_ONLY_PINS,
    wakes=pads.RTC_PINS,
    required={"BOOT_MS": int, "CALL_US": int, "TICKS_US": int},
    optional={
        "VBUS": int,
        "WAKE_ANY_HIGH": tuple,
        "WAKE_ALL_LOW": tuple,
        "WAKE_EXT0": tuple,
        "HELD": tuple,
    },
)

NRF52840: Final = Rules(
    # P0.n is n, P1.n is 32 + n (product specification, pin assignments of the aQFN73 package).
    pins=frozenset(range(48)),
    taken={
        "the 32.768 kHz crystal": frozenset({0, 1}),
        "the NFC antenna": frozenset({9, 10}),
        "the reset": frozenset({18}),
    },
    analog=frozenset({2, 3, 4, 5, 28, 29, 30, 31}),
    # The UART is fixed in the MicroPython image for the development kit. Any pin can end a sleep.
    buses={"I2C": (0, 1), "SPI": (0, 1, 2, 3), "UART": (0,)},
    fixed={("UART", 0): {"tx": 6, "rx": 8}},
    shared=frozenset({0, 1}),
)

CHIPS: Final = {"esp32": ESP32, "nrf52840": NRF52840}
