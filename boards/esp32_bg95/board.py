"""ESP32 tracker with a BG95 modem: the wiring.

Plain literals only, because the simulator reads this file as text. The firmware imports it as
module `board`.
"""

NAME = "esp32_bg95"
CHIP = "esp32"

BUSES = {
    ("I2C", 0): {"pins": {"scl": 22, "sda": 21}, "settings": {"freq": 400000}},
    # Mode 3 suits both parts on this bus.
    ("SPI", 2): {
        "pins": {"sck": 18, "mosi": 23, "miso": 19},
        "settings": {"baudrate": 5000000, "polarity": 1, "phase": 1},
    },
    ("UART", 2): {"pins": {"tx": 17, "rx": 16}, "settings": {"baudrate": 115200, "rxbuf": 2048}},
}

# A part that is not fitted has no entry. Battery voltage = reading * numerator / denominator. The
# curve is the open-circuit voltage in mV of a 3.7 V lithium-ion cell at 0, 10 ... 100 % of its
# charge, as published for single cells ("LiPo voltage chart", Ampow). A sensor with a pin "supply"
# is powered while the pin is high, which is while the chip is awake, because an idle MAX31865
# draws 1.5 mA. The pull-up resistor at its cs is connected to that supply.
SENSORS = {
    "probe": {"part": "MAX31865", "spi": 2, "cs": 4, "rref": 4300, "wires": 3, "supply": 12},
    "ambient": {"part": "SHT45", "i2c": 0, "address": 0x44},
    "light": {"part": "OPT3001", "i2c": 0, "address": 0x45, "int": 13},
    "accelerometer": {"part": "LIS2DW12", "i2c": 0, "address": 0x19, "int1": 32},
    "battery": {
        "part": "battery",
        "adc": 35,
        "numerator": 2,
        "denominator": 1,
        "curve": (3270, 3690, 3730, 3770, 3800, 3840, 3870, 3950, 4020, 4110, 4200),
    },
}
FLASH = {"part": "W25Q64", "spi": 2, "cs": 5}
# Transistors invert PWRKEY and RESET_N: a high pin activates them.
MODEM = {"part": "BG95-M3", "uart": 2, "supply": 25, "pwrkey": 26, "reset_n": 27, "status": 36}

BUTTON = 33
VBUS = 34
LED_GREEN = 2
LED_RED = 15

# ext1 wakes the chip when any of these pins is high: button, cable, the accelerometer's INT1.
WAKE_ANY_HIGH = (33, 34, 32)
# ext0 wakes the chip by the level of one pin: INT of the light sensor, an open drain.
WAKE_EXT0 = (13, 0)
# (pin, level) of outputs held in deep sleep; the modem's supply stays off.
HELD = ((25, 0),)
# (pin, level) of pins with a pull resistor on the board, effective while no part drives them.
PULLS = (
    (4, 1),
    (5, 1),
    (12, 0),
    (13, 1),
    (25, 0),
    (26, 0),
    (27, 0),
    (32, 0),
    (33, 0),
    (34, 0),
    (36, 0),
)

# Tolerance of the 32.768 kHz crystal, which clocks the counter in deep sleep.
RTC_PPM = 20
# BOOT_MS: time from a reset to the tracker's first hardware access. CALL_US: computing time before
# each later access, in microseconds. TICKS_US: the same before reading a clock.
BOOT_MS = 420
CALL_US = 60
TICKS_US = 6
