"""Common to every chip: buses and parts, as wired in the board file.

Functions that are not needed at every wake are in parts.py, which is unloaded after use.
"""

import machine
from machine import Pin

from memory import forget


class Wired:
    """Buses, parts, button and LED. A chip's ``Port`` adds time, memory, wakes and sleep."""

    def __init__(self, board):
        """Store ``board``, the board file's module, and supply its sensors."""
        self._board = board
        self._buses = {}
        self._sensors = {}
        self._flash = None
        for part in board.SENSORS.values():
            if "supply" in part:
                Pin(part["supply"], Pin.OUT, value=1)

    def since_boot(self, boot_rtc):
        """Return (seconds, milliseconds) since the boot that began at ``boot_rtc`` seconds."""
        seconds, ms = self.counter()  # type: ignore[attr-defined] # of the chip's class
        return seconds - boot_rtc, ms

    def button(self):
        """Return whether the button is pressed."""
        return bool(Pin(self._board.BUTTON, Pin.IN).value())

    def led(self, green, red):
        """Set the two colours of the LED."""
        Pin(self._board.LED_GREEN, Pin.OUT, value=green)
        Pin(self._board.LED_RED, Pin.OUT, value=red)

    def interrupted(self, name):
        """Return whether a sensor's interrupt line is active: the part has an event."""
        wiring = self._board.SENSORS[name]
        if "int1" in wiring:
            return bool(Pin(wiring["int1"], Pin.IN).value())
        return not Pin(wiring["int"], Pin.IN).value()

    def bus(self, kind, number):
        """Return the bus, which is created on first use."""
        bus = self._buses.get((kind, number))
        if bus is None:
            wiring = self._board.BUSES[kind, number]
            pins = {name: Pin(pin) for name, pin in wiring["pins"].items()}
            bus = getattr(machine, kind)(number, **pins, **wiring["settings"])
            self._buses[kind, number] = bus
        return bus

    def free_bus(self):
        """Free an I2C bus on which a part holds SDA. The time is limited in any case."""
        from coldtrail.ports import parts

        for kind, number in list(self._buses):
            if kind == "I2C":
                parts.free(self._board.BUSES[kind, number]["pins"])
                # The pins belong to the bus again. Keep the object, because the drivers refer to
                # it.
                del self._buses[kind, number]
                self.bus(kind, number)

    def flash(self):
        """Return the NOR flash of the log."""
        from drivers.w25q64 import W25Q64

        wiring = self._board.FLASH
        cs = Pin(wiring["cs"], Pin.OUT, value=1)
        self._flash = W25Q64(self.bus("SPI", wiring["spi"]), cs)
        forget("drivers", "w25q64_start")
        # The board may use the rest of the part for something else.
        self._flash.size = wiring.get("log_size", self._flash.size)
        return self._flash

    def modem(self):
        """Return the driver of the modem; the state of the modem does not change."""
        from coldtrail.ports import parts

        modem = parts.modem(self, self._board)
        del parts
        forget("coldtrail.ports", "parts")
        return modem

    def sensor(self, name):
        """Return the driver of a sensor, or None when the board has none of that name."""
        driver = self._sensors.get(name)
        if driver is None and name in self._board.SENSORS:
            from coldtrail.ports import parts

            driver = parts.make(self, self._board.CHIP, self._board.SENSORS[name])
            self._sensors[name] = driver
        return driver

    def release(self, name):
        """Unload a sensor's driver, unless it holds an event; ``sensor`` creates it again."""
        driver = self._sensors.get(name)
        if driver and not getattr(driver, "pending", None):
            del self._sensors[name], driver
            forget("drivers", self._board.SENSORS[name]["part"].lower())

    def kept(self, name):
        """Return the driver of a sensor that holds an event (``pending``), else None."""
        return self._sensors.get(name)

    def release_all(self):
        """Unload the drivers of all sensors, with their events, and what creates them."""
        for name in list(self._sensors):
            del self._sensors[name]
            forget("drivers", self._board.SENSORS[name]["part"].lower())
        forget("coldtrail.ports", "parts", "battery", self._board.CHIP + "_adc")
