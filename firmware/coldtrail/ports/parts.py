"""Creates the drivers of a board's parts, and frees its I2C bus. Unloaded after use."""

import time

import machine
from machine import Pin
from micropython import const

_PERIOD_US = const(5)  # half a clock period at 100 kHz, which every part on the bus supports


def make(port, chip, wiring):
    """Return the driver of a sensor, as wired in the board file. Raises ValueError."""
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
        from coldtrail.ports.battery import Battery

        adc = __import__("coldtrail.ports." + chip + "_adc", None, None, ("*",))
        return Battery(adc.reader(wiring["adc"]), wiring["numerator"], wiring["denominator"])
    raise ValueError("the board file names a part without a driver: " + part)


def modem(port, board):
    """Return the modem's driver."""
    from drivers.bg95.modem import BG95

    wiring = board.MODEM
    return BG95(
        port.bus("UART", wiring["uart"]),
        Pin(wiring["pwrkey"], Pin.OUT, value=0),
        Pin(wiring["reset_n"], Pin.OUT, value=0),
        Pin(wiring["status"], Pin.IN),
        Pin(wiring["supply"], Pin.OUT),
        board.BUSES["UART", wiring["uart"]]["settings"]["baudrate"],
    )


def cut_modem(board):
    """Switch off the modem's supply in any state. Does nothing without a modem."""
    wiring = getattr(board, "MODEM", None)
    if wiring:
        for role in ("supply", "pwrkey", "reset_n"):
            Pin(wiring[role], Pin.OUT, value=0)


def unique_id():
    """Return the chip's unique id: an ESP32's MAC, or the 8 bytes of an nRF52840's factory id."""
    found = machine.unique_id()
    if not found:
        from coldtrail.ports import nrf52840_registers

        found = nrf52840_registers.device_id()
    return found


def free(pins):
    """Free an I2C bus on which a part holds SDA because it expects the rest of a byte.

    Sends nine clocks and a stop (UM10204, 3.1.16), so the time is limited even if the part does
    not release SDA. Not every chip has open-drain pins, so each line is either driven low or an
    input.
    """
    scl, sda = pins["scl"], pins["sda"]
    Pin(sda, Pin.IN)
    for _ in range(9):
        _pull(scl)
        _let_go(scl)
    _pull(scl)
    _pull(sda)
    _let_go(scl)
    _let_go(sda)


def _pull(pin):
    Pin(pin, Pin.OUT, value=0)
    time.sleep_us(_PERIOD_US)


def _let_go(pin):
    Pin(pin, Pin.IN)
    time.sleep_us(_PERIOD_US)
