"""ESP32: buses and parts as the board file wires them, RTC counter, wake causes, deep sleep.

What is asked for once a wake lies in modules of its own, which are given back.
"""

import time

import machine
from machine import Pin
from micropython import const

from drivers import forget

# The ESP32 feeds its task watchdog in seconds; the longest single step is a cold mount of the log.
_WATCHDOG_MS = const(30_000)


class Port:
    """What the tracker asks of a board."""

    def __init__(self, board):
        """Take the chip over from reset; ``board`` is the board file's module."""
        self._board = board
        self._rtc = machine.RTC()
        self._buses = {}
        self._sensors = {}
        self._flash = None
        from coldtrail.ports import esp32_sleep

        # Pads that were held through deep sleep stay so until they are configured anew.
        esp32_sleep.hold(board, False)
        self.boot_cause = esp32_sleep.boot_cause()  # as in ``records``, None: woken from sleep
        forget("coldtrail.ports.esp32_sleep")
        # In deep sleep the pad floats, and a resistor takes the supply away.
        for part in board.SENSORS.values():
            if "supply" in part:
                Pin(part["supply"], Pin.OUT, value=1)

    # ---- time and memory ----

    def watchdog(self):
        """Arm and return the watchdog."""
        return machine.WDT(timeout=_WATCHDOG_MS)

    def counter(self):
        """Return the RTC counter as (seconds, milliseconds); it runs on in deep sleep.

        Nobody sets it: it counts from power-on.
        """
        ms = time.time_ns() // 1000000
        return ms // 1000, ms % 1000

    def since_boot(self, boot_rtc):
        """Return (seconds, milliseconds) since the boot that began at ``boot_rtc`` seconds."""
        seconds, ms = self.counter()
        return seconds - boot_rtc, ms

    def retained(self):
        """Return what ``retain`` kept through deep sleep; anything after a power loss."""
        return self._rtc.memory()

    def retain(self, data):
        """Keep ``data`` (at most 2 KiB) in RTC memory through deep sleep."""
        self._rtc.memory(data)

    # ---- boot and wake ----

    def woken_by_button(self):
        """Return whether the button is what ended the sleep."""
        if machine.wake_reason() != machine.EXT1_WAKE:
            return False
        # It may have been let go while the chip booted; what else wakes this way stays as it is.
        pins = [pin for pin in self._board.WAKE_ANY_HIGH if pin != self._board.BUTTON]
        return self.button() or not any(Pin(pin, Pin.IN).value() for pin in pins)

    def button(self):
        """Return whether the button is down."""
        return bool(Pin(self._board.BUTTON, Pin.IN).value())

    def cable(self):
        """Return whether there is power on the cable."""
        return bool(Pin(self._board.VBUS, Pin.IN).value())

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

    def deep_sleep(self, ms, masked=()):
        """Sleep until ``ms`` before the next task, less the time a boot takes, or a wake source.

        The interrupts of the sensors named in ``masked`` do not wake. Does not return: a wake is
        a reset.
        """
        if self._flash:
            self._flash.power_down()
        from coldtrail.ports import esp32_sleep

        esp32_sleep.sleep(self._board, max(1, ms - self._board.BOOT_MS), masked)

    def reset(self):
        """Boot anew; does not return."""
        machine.reset()

    def restart(self):
        """Boot anew, as a boot that was asked for; does not return."""
        from coldtrail.ports import esp32_sleep

        esp32_sleep.restart()

    # ---- parts ----

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
        from coldtrail.ports import esp32_parts

        for kind, number in list(self._buses):
            if kind == "I2C":
                pins = self._board.BUSES[kind, number]["pins"]
                esp32_parts.free(pins["scl"], pins["sda"])
                # The pins belong to the bus again: it is the peripheral that the drivers know.
                del self._buses[kind, number]
                self.bus(kind, number)

    def flash(self):
        """Return the NOR flash of the log."""
        from drivers.w25q64 import W25Q64

        wiring = self._board.FLASH
        cs = Pin(wiring["cs"], Pin.OUT, value=1)
        self._flash = W25Q64(self.bus("SPI", wiring["spi"]), cs)
        # Where others use the rest of the part.
        self._flash.size = wiring.get("log_size", self._flash.size)
        return self._flash

    def modem(self):
        """Return the modem's driver; the modem is left as it is."""
        from drivers.bg95 import BG95

        # A session mostly waits; the slower clock leaves the UART's as it is.
        machine.freq(80_000_000)
        wiring = self._board.MODEM
        return BG95(
            self.bus("UART", wiring["uart"]),
            Pin(wiring["pwrkey"], Pin.OUT, value=0),
            Pin(wiring["reset_n"], Pin.OUT, value=0),
            Pin(wiring["status"], Pin.IN),
            Pin(wiring["supply"], Pin.OUT),
        )

    def sensor(self, name):
        """Return the driver of a sensor, or None where the board has none of that name."""
        driver = self._sensors.get(name)
        if driver is None and name in self._board.SENSORS:
            from coldtrail.ports import esp32_parts

            driver = esp32_parts.make(self, self._board.SENSORS[name])
            self._sensors[name] = driver
        return driver

    def release(self, name):
        """Give back a sensor's driver, unless it keeps an event; made anew when next asked for."""
        driver = self._sensors.get(name)
        if driver and not getattr(driver, "pending", None):
            del self._sensors[name], driver
            forget("drivers." + self._board.SENSORS[name]["part"].lower())

    def kept(self, name):
        """Return the driver of a sensor that keeps an event (``pending``), else None."""
        return self._sensors.get(name)

    def release_all(self):
        """Give back all drivers of sensors, their events too, and what makes them."""
        for name in list(self._sensors):
            del self._sensors[name]
            forget("drivers." + self._board.SENSORS[name]["part"].lower())
        forget("coldtrail.ports.esp32_parts", "coldtrail.ports.esp32_adc")
