"""ESP32: buses and parts as the board file wires them, RTC counter, wake causes, deep sleep."""

import time

import esp32
import machine
from machine import Pin
from micropython import const

from coldtrail import records as r
from drivers import forget

# The ESP32 feeds its task watchdog in seconds; the longest single step is a cold mount of the log.
_WATCHDOG_MS = const(30_000)


class Battery:
    """The battery behind its divider, as the ADC sees it."""

    def __init__(self, pin, numerator, denominator):
        """Measure on ``pin``; battery = reading * numerator / denominator."""
        self._adc = machine.ADC(Pin(pin), atten=machine.ADC.ATTN_11DB)
        self._numerator = numerator
        self._denominator = denominator

    def measure(self):
        """Return the voltage in mV, the mean of four conversions with the chip's calibration."""
        total = 0
        for _ in range(4):
            total += self._adc.read_uv()
        return total * self._numerator // (4000 * self._denominator)


class Port:
    """What the tracker asks of a board."""

    def __init__(self, board):
        """Take the chip over from reset; ``board`` is the board file's module."""
        self._board = board
        self._rtc = machine.RTC()
        self._buses = {}
        self._sensors = {}
        self._flash = None
        # Pads that were held through deep sleep stay so until they are configured anew.
        self._hold(False)
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

    def boot_cause(self):
        """Return why the chip booted (``records``), or None when it woke from deep sleep."""
        cause = machine.reset_cause()
        if cause == machine.DEEPSLEEP_RESET:
            return None
        if cause == machine.PWRON_RESET:  # the port counts a brown-out among these
            return r.POWER_ON
        if cause == machine.WDT_RESET:
            return r.WATCHDOG
        if cause == machine.SOFT_RESET:
            return r.COMMANDED
        return r.OTHER

    def woken_by_button(self):
        """Return whether the button is what ended the sleep."""
        return machine.wake_reason() == machine.EXT1_WAKE and self.button()

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

    def deep_sleep(self, ms, masked=()):
        """Sleep until ``ms`` before the next task, less the time a boot takes, or a wake source.

        The interrupts of the sensors named in ``masked`` do not wake. Does not return: a wake is
        a reset.
        """
        if self._flash:
            self._flash.power_down()
        board = self._board
        lines = [board.SENSORS[name].get(role) for name in masked for role in ("int", "int1")]
        self._hold(True)
        wake = [Pin(pin, Pin.IN) for pin in board.WAKE_ANY_HIGH if pin not in lines]
        esp32.wake_on_ext1(wake, esp32.WAKEUP_ANY_HIGH)
        pin, level = board.WAKE_EXT0
        esp32.wake_on_ext0(None if pin in lines else Pin(pin, Pin.IN), level)
        machine.deepsleep(max(1, ms - self._board.BOOT_MS))

    def reset(self):
        """Boot anew; does not return."""
        machine.reset()

    def _hold(self, held):
        # The stubs lack both calls; the ESP32 port documents them.
        for pin, level in self._board.HELD:
            Pin(pin, Pin.OUT, value=level, hold=held)  # type: ignore[call-arg]
        esp32.gpio_deep_sleep_hold(held)  # type: ignore[attr-defined]

    # ---- parts ----

    def _bus(self, kind, number):
        """Return the bus, made when first asked for."""
        bus = self._buses.get((kind, number))
        if bus is None:
            wiring = self._board.BUSES[kind, number]
            pins = {name: Pin(pin) for name, pin in wiring["pins"].items()}
            bus = getattr(machine, kind)(number, **pins, **wiring["settings"])
            self._buses[kind, number] = bus
        return bus

    def flash(self):
        """Return the NOR flash of the log."""
        from drivers.w25q64 import W25Q64

        wiring = self._board.FLASH
        cs = Pin(wiring["cs"], Pin.OUT, value=1)
        self._flash = W25Q64(self._bus("SPI", wiring["spi"]), cs)
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
            self._bus("UART", wiring["uart"]),
            Pin(wiring["pwrkey"], Pin.OUT, value=0),
            Pin(wiring["reset_n"], Pin.OUT, value=0),
            Pin(wiring["status"], Pin.IN),
            Pin(wiring["supply"], Pin.OUT),
        )

    def sensor(self, name):
        """Return the driver of a sensor, or None where the board has none of that name."""
        driver = self._sensors.get(name)
        if driver is None and name in self._board.SENSORS:
            driver = self._make(self._board.SENSORS[name])
            self._sensors[name] = driver
        return driver

    def release(self, name):
        """Give back a sensor's driver, unless it keeps an event; made anew when next asked for."""
        driver = self._sensors.get(name)
        if driver and not getattr(driver, "pending", None):
            del self._sensors[name], driver
            forget("drivers." + self._board.SENSORS[name]["part"].lower())

    def _make(self, wiring):
        part = wiring["part"]
        if part == "SHT45":
            from drivers.sht45 import SHT45

            return SHT45(self._bus("I2C", wiring["i2c"]), wiring["address"])
        if part == "MAX31865":
            from drivers.max31865 import MAX31865

            cs = Pin(wiring["cs"], Pin.OUT, value=1)
            return MAX31865(self._bus("SPI", wiring["spi"]), cs, wiring["rref"], wiring["wires"])
        if part == "OPT3001":
            from drivers.opt3001 import OPT3001

            return OPT3001(self._bus("I2C", wiring["i2c"]), wiring["address"])
        if part == "LIS2DW12":
            from drivers.lis2dw12 import LIS2DW12

            return LIS2DW12(self._bus("I2C", wiring["i2c"]), wiring["address"])
        if part == "battery":
            return Battery(wiring["adc"], wiring["numerator"], wiring["denominator"])
        raise ValueError("the board file names a part without a driver: " + part)
