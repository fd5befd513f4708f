"""The modules of the family that are modelled, as far as they differ."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from coldtrail_simulator.clock import US_PER_MS, US_PER_S


@dataclass(frozen=True)
class Part:
    """What one module's hardware design says of its power pins, and its manual of its names.

    Times are in microseconds. PWRKEY is low-active and counted from the moment it goes low;
    RESET_N likewise.
    """

    model: str
    revision: str
    supply_us: int
    """VBAT has to be stable for this long before PWRKEY goes low."""
    turn_on_us: int
    """PWRKEY low for at least this long turns the module on."""
    status_us: int
    """From PWRKEY low to STATUS high."""
    uart_us: int
    """From PWRKEY low to a UART that answers."""
    turn_off_us: int
    """PWRKEY low for at least this long, then released, turns the module off."""
    power_down_us: int
    """The power-down procedure takes at least this long."""
    reset_us: int
    """RESET_N low for at least this long resets the module."""
    key_resets: bool
    """RESET_N and PWRKEY are one: holding PWRKEY for ``reset_us`` resets the module."""
    modes: Mapping[str, str]
    """How AT+QCSQ and AT+QNWINFO call LTE Cat M1, LTE Cat NB and GSM."""
    time_zone_updates: tuple[int, ...]
    """What AT+CTZU takes: 1 and 3 set the clock from the network, 3 to local time."""
    later_firmware: bool
    """Whether AT+QSSLCFG knows "sni" and "checkhost", and AT+QGPSCFG "priority"."""


# BG95 Series Hardware Design V1.2: 3.6.2.1 (turning off) and 3.7 (reset). The times of turning on
# (3.6.1, figure 8) have not been checked against the print.
BG95_M3 = Part(
    model="BG95-M3",
    revision="BG95M3LAR02A03",
    supply_us=30 * US_PER_MS,
    turn_on_us=500 * US_PER_MS,
    status_us=2_100 * US_PER_MS,
    uart_us=2_500 * US_PER_MS,
    turn_off_us=650 * US_PER_MS,
    power_down_us=1_300 * US_PER_MS,
    reset_us=2 * US_PER_S,
    key_resets=True,
    modes={"CAT-M1": "eMTC", "CAT-NB1": "NBIoT", "GSM": "GSM"},
    time_zone_updates=(0, 1, 3),
    later_firmware=True,
)

# BG96 Hardware Design V1.3: 3.6.1 (figure 8), 3.6.2.1, 3.7; BG96 AT Commands Manual V2.2, 2.1,
# 6.17, 6.18.
BG96 = Part(
    model="BG96",
    revision="BG96MAR01A01M1G",
    supply_us=30 * US_PER_MS,
    turn_on_us=500 * US_PER_MS,
    status_us=4_800 * US_PER_MS,
    uart_us=4_900 * US_PER_MS,
    turn_off_us=650 * US_PER_MS,
    power_down_us=2 * US_PER_S,
    reset_us=150 * US_PER_MS,
    key_resets=False,
    modes={"CAT-M1": "CAT-M1", "CAT-NB1": "CAT-NB1", "GSM": "GSM"},
    time_zone_updates=(0, 1),
    later_firmware=False,
)
