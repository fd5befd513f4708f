"""The modules that are modelled, and how they differ."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from coldtrail_simulator.clock import US_PER_MS, US_PER_S


@dataclass(frozen=True)
class Part:
    """One module: the times of its power pins by its hardware design, its names by its manual.

    Times are in microseconds. PWRKEY and RESET_N are active low, and their times count from the
    falling edge.
    """

    model: str
    revision: str
    supply_us: int
    """VBAT must be stable for this long before PWRKEY goes low."""
    turn_on_us: int
    """PWRKEY low for at least this long turns the module on."""
    status_us: int
    """The time from PWRKEY low to STATUS high."""
    uart_us: int
    """The time from PWRKEY low until the UART answers."""
    turn_off_us: int
    """PWRKEY low for at least this long, then released, turns the module off."""
    power_down_us: int
    """The power-down procedure takes at least this long."""
    reset_us: int
    """RESET_N low for at least this long resets the module."""
    key_resets: bool
    """Whether PWRKEY also works as RESET_N: held for ``reset_us``, it resets the module."""
    modes: Mapping[str, str]
    """The names of LTE Cat M1, LTE Cat NB and GSM in AT+QCSQ and AT+QNWINFO."""
    time_zone_updates: tuple[int, ...]
    """The values that AT+CTZU accepts: 1 and 3 set the clock from the network, 3 to local time."""
    later_firmware: bool
    """Whether AT+QSSLCFG knows "sni" and "checkhost", and AT+QGPSCFG "priority"."""


# Source: BG95 Series Hardware Design V1.2, 3.6.2.1 (turning off) and 3.7 (reset). The times of
# turning on (3.6.1, figure 8) have not been checked against the document.
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

# Sources: BG96 Hardware Design V1.3, 3.6.1 (figure 8), 3.6.2.1, 3.7; BG96 AT Commands Manual V2.2,
# 2.1, 6.17, 6.18.
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
