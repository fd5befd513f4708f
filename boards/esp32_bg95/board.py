"""ESP32 tracker with a BG95 modem: what is wired to what.

Plain literals only: the firmware imports this file as module `board`, the simulator reads it.
"""

NAME = "esp32_bg95"
CHIP = "esp32"

BUSES = {
    ("I2C", 0): {"pins": {"scl": 22, "sda": 21}, "settings": {"freq": 400000}},
    # Mode 3 suits both parts on it.
    ("SPI", 2): {
        "pins": {"sck": 18, "mosi": 23, "miso": 19},
        "settings": {"baudrate": 5000000, "polarity": 1, "phase": 1},
    },
    ("UART", 2): {"pins": {"tx": 17, "rx": 16}, "settings": {"baudrate": 115200, "rxbuf": 2048}},
}

# A part that is not fitted has no entry. Battery: reading * numerator / denominator; its curve is
# the voltage in mV at rest of a lithium-ion cell of 3.7 V at 0, 10 ... 100 % of its charge, as
# published for single cells ("LiPo voltage chart", Ampow).
# A sensor with a supply of its own has it while the pin is high, which is while the chip is awake:
# a MAX31865 draws 1.5 mA even when it does nothing. The resistor at its cs goes to that supply.
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
# PWRKEY and RESET_N are pulled down by transistors: their pins are high to act.
MODEM = {"part": "BG95-M3", "uart": 2, "supply": 25, "pwrkey": 26, "reset_n": 27, "status": 36}

BUTTON = 33
VBUS = 34
LED_GREEN = 2
LED_RED = 15

# ext1 wakes when any of these is high: button, cable, the accelerometer's INT1.
WAKE_ANY_HIGH = (33, 34, 32)
# ext0 wakes by one pin at a level: the light sensor's INT, an open drain.
WAKE_EXT0 = (13, 0)
# (pin, level) of outputs held through deep sleep: the modem's supply stays off.
HELD = ((25, 0),)
# (pin, level) of pins with a resistor on the board, which acts while nothing drives them.
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

# The clock that counts through deep sleep is a 32.768 kHz crystal: its tolerance.
RTC_PPM = 20
# From a reset to the tracker's first access to hardware, and what the computing up to each later
# access takes, in microseconds; reading a clock is short.
BOOT_MS = 420
CALL_US = 60
TICKS_US = 6
