"""ESP32: RTC counter, wake causes, deep sleep.

What is asked for once a wake lies in modules of its own, which are given back.
"""

import time

import machine
from machine import Pin
from micropython import const

from coldtrail.ports.wired import Wired
from memory import forget

# The ESP32 feeds its task watchdog in seconds; the longest single step is a cold mount of the log.
_WATCHDOG_MS = const(30_000)


class Port(Wired):
    """What the tracker asks of a board."""

    def __init__(self, board):
        """Take the chip over from reset; ``board`` is the board file's module."""
        self._rtc = machine.RTC()
        from coldtrail.ports import esp32_sleep

        # Pads that were held through deep sleep stay so until they are configured anew.
        esp32_sleep.hold(board, False)
        self.boot_cause = esp32_sleep.boot_cause()  # as in ``records``, None: woken from sleep
        del esp32_sleep
        forget("coldtrail.ports", "esp32_sleep")
        # In deep sleep the pad floats, and a resistor takes a sensor's supply away.
        super().__init__(board)

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

    def cable(self):
        """Return whether there is power on the cable."""
        return bool(Pin(self._board.VBUS, Pin.IN).value())

    def deep_sleep(self, ms, masked=()):
        """Sleep until ``ms`` before the next task, less the time a boot takes, or a wake source.

        ``ms`` None: there is nothing to do. The interrupts of the sensors named in ``masked`` do
        not wake. Does not return: a wake is a reset.
        """
        if self._flash:
            self._flash.power_down()
        from coldtrail.ports import esp32_sleep

        esp32_sleep.sleep(self._board, ms, masked)

    def reset(self):
        """Boot anew; does not return."""
        machine.reset()

    def restart(self):
        """Boot anew, as a boot that was asked for; does not return."""
        from coldtrail.ports import esp32_sleep

        esp32_sleep.restart()

    # ---- parts ----

    def modem(self):
        """Return the modem's driver; the modem is left as it is."""
        # A session mostly waits; the slower clock leaves the UART's as it is.
        machine.freq(80_000_000)
        return super().modem()
