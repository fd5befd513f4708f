"""What every chip has in common: buses and parts as the board file wires them.

What is not asked for at every wake lies in parts.py, which is given back.
"""

import machine
from machine import Pin

from memory import forget


class Wired:
    """Buses, parts, button and LED; a chip's ``Port`` adds time, memory, wakes and sleep."""

    def __init__(self, board):
        """Use the parts of ``board``, the board file's module."""
        self._board = board
        self._buses = {}
        self._sensors = {}
        self._flash = None
        for part in board.SENSORS.values():
            if "supply" in part:
                Pin(part["supply"], Pin.OUT, value=1)

    def since_boot(self, boot_rtc):
        """Return (seconds, milliseconds) since the boot that began at ``boot_rtc`` seconds."""
        seconds, ms = self.counter()  # type: ignore[attr-defined] # the chip's
        return seconds - boot_rtc, ms

    def button(self):
        """Return whether the button is down."""
        return bool(Pin(self._board.BUTTON, Pin.IN).value())

    def led(self, green, red):
        """Light the two colours."""
        Pin(self._board.LED_GREEN, Pin.OUT, value=green)
        Pin(self._board.LED_RED, Pin.OUT, value=red)

    def interrupted(self, name):
        """Return whether a sensor's interrupt line is active: an event stands in the part."""
        wiring = self._board.SENSORS[name]
        if "int1" in wiring:
            return bool(Pin(wiring["int1"], Pin.IN).value())
        return not Pin(wiring["int"], Pin.IN).value()

    def bus(self, kind, number):
        """Return the bus, made when first asked for."""
        bus = self._buses.get((kind, number))
        if bus is None:
            wiring = self._board.BUSES[kind, number]
            pins = {name: Pin(pin) for name, pin in wiring["pins"].items()}
            bus = getattr(machine, kind)(number, **pins, **wiring["settings"])
            self._buses[kind, number] = bus
        return bus

    def free_bus(self):
        """Clock a part off the I2C bus that holds SDA; bounded, whether it lets go or not."""
        from coldtrail.ports import parts

        for kind, number in list(self._buses):
            if kind == "I2C":
                parts.free(self._board.BUSES[kind, number]["pins"])
                # The pins belong to the bus again: it is the peripheral that the drivers know.
                del self._buses[kind, number]
                self.bus(kind, number)

    def flash(self):
        """Return the NOR flash of the log."""
        from drivers.w25q64 import W25Q64

        wiring = self._board.FLASH
        cs = Pin(wiring["cs"], Pin.OUT, value=1)
        self._flash = W25Q64(self.bus("SPI", wiring["spi"]), cs)
        forget("drivers", "w25q64_start")
        # Where others use the rest of the part.
        self._flash.size = wiring.get("log_size", self._flash.size)
        return self._flash

    def modem(self):
        """Return the modem's driver; the modem is left as it is."""
        from coldtrail.ports import parts

        modem = parts.modem(self, self._board)
        del parts
        forget("coldtrail.ports", "parts")
        return modem

    def sensor(self, name):
        """Return the driver of a sensor, or None where the board has none of that name."""
        driver = self._sensors.get(name)
        if driver is None and name in self._board.SENSORS:
            from coldtrail.ports import parts

            driver = parts.make(self, self._board.CHIP, self._board.SENSORS[name])
            self._sensors[name] = driver
        return driver

    def release(self, name):
        """Give back a sensor's driver, unless it keeps an event; made anew when next asked for."""
        driver = self._sensors.get(name)
        if driver and not getattr(driver, "pending", None):
            del self._sensors[name], driver
            forget("drivers", self._board.SENSORS[name]["part"].lower())

    def kept(self, name):
        """Return the driver of a sensor that keeps an event (``pending``), else None."""
        return self._sensors.get(name)

    def release_all(self):
        """Give back all drivers of sensors, their events too, and what makes them."""
        for name in list(self._sensors):
            del self._sensors[name]
            forget("drivers", self._board.SENSORS[name]["part"].lower())
        forget("coldtrail.ports", "parts", "battery", self._board.CHIP + "_adc")
