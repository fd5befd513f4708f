"""The current of each part in each of its states, with the source of every figure.

Figures are typical at 25 degC unless stated otherwise; at 5 degC leakage is lower. "Not checked"
means that the figure is the commonly quoted one and was not compared with the datasheet itself.
"""

from __future__ import annotations

from collections.abc import Mapping

from coldtrail_simulator.energy import Current, Currents

MA = 1000.0

_ESP32 = "ESP32 Series Datasheet v5.2, table 4-2"
_CLOCKS: Mapping[int, tuple[float, float]] = {240: (30, 68), 160: (27, 44), 80: (20, 31)}
"""CPU clock in MHz: lowest and highest milliamperes in modem-sleep, dual-core chips."""

ESP32: Currents = {
    "booting": Current(
        44 * MA,
        "assumed",
        f"{_ESP32}, modem-sleep at 160 MHz, upper end: ROM, bootloader and imports compute",
    ),
    **{
        f"computing, {mhz} MHz": Current(
            high * MA, "maximum", f"{_ESP32}, modem-sleep at {mhz} MHz, upper end of the span"
        )
        for mhz, (_, high) in _CLOCKS.items()
    },
    **{
        f"waiting, {mhz} MHz": Current(
            low * MA,
            "typical",
            f"{_ESP32}, modem-sleep at {mhz} MHz, lower end of the span: both cores wait",
        )
        for mhz, (low, _) in _CLOCKS.items()
    },
    "light sleep": Current(0.8 * MA, "typical", f"{_ESP32}, light-sleep"),
    "deep sleep": Current(
        10.0,
        "typical",
        f"{_ESP32}, deep-sleep, RTC timer and RTC memory; a 32 kHz crystal adds nothing "
        "(Espressif FAQ, power consumption)",
    ),
}
"""The flash of the module sleeps together with the chip."""

SHT45: Currents = {
    "idle": Current(0.08, "typical", "SHT4x datasheet v1, page 1 and table 3; at most 1.0 uA"),
    "measuring": Current(320.0, "typical", "SHT4x datasheet, table 3; at most 500; not checked"),
}

_MAX31865 = "MAX31865 datasheet 19-6478 rev 3, page 3, power-supply current"

MAX31865: Currents = {
    "bias off": Current(1.5 * MA, "typical", f"{_MAX31865}, shutdown; at most 3 mA"),
    "bias on": Current(
        2.4 * MA,
        "typical",
        f"{_MAX31865}, bias on: 2 mA, at most 3.5 mA; and 2 V over 5.3 kilo-ohm of reference "
        "and element",
    ),
}

_OPT3001 = "OPT3001 datasheet SBOS681C, 6.5 electrical characteristics"

OPT3001: Currents = {
    "shut down": Current(0.3, "typical", f"{_OPT3001}, dark; at most 0.47 uA"),
    "converting": Current(1.8, "typical", f"{_OPT3001}, active, dark; at most 2.5 uA"),
}

_LIS2DW12 = "LIS2DW12 datasheet DocID029682, electrical characteristics"

LIS2DW12: Currents = {
    "power-down": Current(0.05, "typical", f"{_LIS2DW12}, power-down"),
    "low power, 200 Hz": Current(
        10.0,
        "assumed",
        f"{_LIS2DW12}, low-power mode 1: 5 uA at 100 Hz, twice at 200; not checked",
    ),
    "high performance": Current(90.0, "typical", f"{_LIS2DW12}, high-performance mode"),
}

_W25Q64 = "W25Q64JV datasheet rev J, 9.5 DC electrical characteristics"

W25Q64: Currents = {
    "power-down": Current(1.0, "typical", f"{_W25Q64}, ICC2"),
    "standby": Current(10.0, "typical", f"{_W25Q64}, ICC1; at most 50 uA; not checked"),
    "selected": Current(
        15 * MA, "maximum", f"{_W25Q64}, ICC3, read data at 50 MHz; it reads at 5; not checked"
    ),
    "programming": Current(20 * MA, "typical", f"{_W25Q64}, ICC5; at most 25 mA; not checked"),
    "erasing": Current(20 * MA, "typical", f"{_W25Q64}, ICC6; at most 25 mA; not checked"),
}

LED: Currents = {
    "dark": Current(0.0, "assumed", "its pin is low"),
    "lit": Current(2 * MA, "assumed", "by its resistor: 3.3 V less 2 V over 680 ohm"),
}

_BG95 = "BG95 Series LPWA Specification V2.0"
_BG96 = "BG96 Hardware Design, current consumption, which the RAK8213 datasheet repeats"

BG95: Currents = {
    "powered down": Current(15.0, "typical", "BG95 Series Hardware Design, not checked"),
    "booting": Current(
        60 * MA,
        "assumed",
        "no figure published: idle (18.9 mA) and a processor at work, no radio",
    ),
    "searching": Current(
        80 * MA,
        "assumed",
        "no figure published: the receiver is on all the time; as when connected",
    ),
    "connected": Current(
        80 * MA,
        "assumed",
        "no figure published: it listens in every subframe, no DRX; below the 108 mA of a BG96 in "
        f"a voice call over LTE Cat M1, which transmits as well ({_BG96})",
    ),
    "idle": Current(18.9 * MA, "typical", f"{_BG95}, idle, DRX 1.28 s; it does not sleep"),
    "transmitting, CAT-M1": Current(
        194 * MA,
        "typical",
        "BG95 Series Hardware Design, table 42: LTE Cat M1 data transfer, B1 at 21.29 dBm; "
        "charged at full power whatever the distance",
    ),
    "transmitting, CAT-NB1": Current(
        170 * MA, "typical", f"{_BG96}: LTE Cat NB1 data transfer, B8 at 22.7 dBm"
    ),
    "transmitting, GSM": Current(
        399 * MA, "typical", f"{_BG96}: GPRS data transfer, EGSM900 2 UL 3 DL at 32.6 dBm"
    ),
    "GNSS": Current(41.7 * MA, "typical", f"{_BG96}: GNSS searching, cold start, AT+CFUN=0"),
    "PSM": Current(3.9, "typical", f"{_BG95}, PSM; not checked"),
}
