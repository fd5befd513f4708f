"""nRF52840 DK with a tracker shield on its Arduino headers: the wiring.

Plain literals only, because the simulator reads this file as text. The firmware imports it as
module `board`; on the chip its name is wiring.py, because the image has its own module `board`.
Pins are numbered as in MicroPython: P0.n is n, P1.n is 32 + n. VBUS needs no pin, because the chip
detects it (USBREGSTATUS).
"""

NAME = "nrf52840dk_bg95"
CHIP = "nrf52840"

BUSES = {
    ("I2C", 0): {"pins": {"scl": 27, "sda": 26}, "settings": {"freq": 400000}},
    # Mode 3 suits both parts on this bus. The chip supports 4 and 8 MHz, the MAX31865 up to 5 MHz.
    ("SPI", 2): {
        "pins": {"sck": 47, "mosi": 45, "miso": 46},
        "settings": {"baudrate": 4000000, "polarity": 1, "phase": 1},
    },
    # The only UART, at the pins that are fixed in the image. The interpreter takes each byte in an
    # interrupt; at 38,400 baud it has 260 us for each.
    ("UART", 0): {"pins": {"tx": 6, "rx": 8}, "settings": {"baudrate": 38400}},
}

# The same parts and the same cell as on the ESP32 board; see its board.py.
SENSORS = {
    "probe": {"part": "MAX31865", "spi": 2, "cs": 43, "rref": 4300, "wires": 3, "supply": 42},
    "ambient": {"part": "SHT45", "i2c": 0, "address": 0x44},
    "light": {"part": "OPT3001", "i2c": 0, "address": 0x45, "int": 40},
    "accelerometer": {"part": "LIS2DW12", "i2c": 0, "address": 0x19, "int1": 39},
    "battery": {
        "part": "battery",
        "adc": 28,
        "numerator": 2,
        "denominator": 1,
        "curve": (3270, 3690, 3730, 3770, 3800, 3840, 3870, 3950, 4020, 4110, 4200),
    },
}
FLASH = {"part": "W25Q64", "spi": 2, "cs": 44}
# Transistors invert PWRKEY and RESET_N: a high pin activates them.
MODEM = {"part": "BG95-M3", "uart": 0, "supply": 31, "pwrkey": 34, "reset_n": 33, "status": 35}

BUTTON = 38
LED_GREEN = 37
LED_RED = 36

# (pin, level) of pins with a pull resistor on the shield, effective while no part drives them.
PULLS = (
    (31, 0),
    (33, 0),
    (34, 0),
    (35, 0),
    (38, 0),
    (39, 0),
    (40, 1),
    (42, 0),
    (43, 1),
    (44, 1),
)

# Tolerance of the 32.768 kHz crystal.
RTC_PPM = 20
