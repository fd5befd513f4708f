"""ESP32: makes the drivers of a board's parts, and frees its bus. Imported for that alone."""

import time

from machine import Pin

_PERIOD_US = 5  # half a clock at 100 kHz, which every part on the bus can follow


def make(port, wiring):
    """Return the driver of the sensor that the board file wires so."""
    part = wiring["part"]
    if part == "SHT45":
        from drivers.sht45 import SHT45

        return SHT45(port.bus("I2C", wiring["i2c"]), wiring["address"])
    if part == "OPT3001":
        from drivers.opt3001 import OPT3001

        return OPT3001(port.bus("I2C", wiring["i2c"]), wiring["address"])
    if part == "LIS2DW12":
        from drivers.lis2dw12 import LIS2DW12

        return LIS2DW12(port.bus("I2C", wiring["i2c"]), wiring["address"])
    if part == "MAX31865":
        from drivers.max31865 import MAX31865

        cs = Pin(wiring["cs"], Pin.OUT, value=1)
        return MAX31865(port.bus("SPI", wiring["spi"]), cs, wiring["rref"], wiring["wires"])
    if part == "battery":
        from coldtrail.ports.esp32_adc import Battery

        return Battery(wiring["adc"], wiring["numerator"], wiring["denominator"])
    raise ValueError("the board file names a part without a driver: " + part)


def free(scl, sda):
    """Clock a part off an I2C bus that holds SDA because it waits for the rest of a byte.

    Nine clocks and a stop (UM10204, 3.1.16): bounded, whether it lets go or not.
    """
    scl = Pin(scl, Pin.OPEN_DRAIN, value=1)
    sda = Pin(sda, Pin.OPEN_DRAIN, value=1)
    for _ in range(9):
        scl(0)
        time.sleep_us(_PERIOD_US)
        scl(1)
        time.sleep_us(_PERIOD_US)
    sda(0)
    time.sleep_us(_PERIOD_US)
    sda(1)
