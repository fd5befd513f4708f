"""ESP32: RTC counter, wake causes, deep sleep.

Functions that are needed once in a wake are in modules of their own, which are unloaded.
"""

import time

import machine
from machine import Pin
from micropython import const

from coldtrail.ports.wired import Wired
from memory import forget

# The longest single step is a cold mount of the log. The task watchdog counts in seconds.
_WATCHDOG_MS = const(30_000)


class Port(Wired):
    """The interface of a board to the tracker."""

    def __init__(self, board):
        """Initialise the chip after a reset; ``board`` is the board file's module."""
        self._rtc = machine.RTC()
        from coldtrail.ports import esp32_sleep

        # Pads that were held in deep sleep remain held until they are configured again.
        esp32_sleep.hold(board, False)
        self.boot_cause = esp32_sleep.boot_cause()  # as in ``records``; None after deep sleep
        del esp32_sleep
        forget("coldtrail.ports", "esp32_sleep")
        # In deep sleep a resistor switches off a sensor's supply; this switches it on again.
        super().__init__(board)

    # ---- time and memory ----

    def watchdog(self):
        """Arm and return the watchdog."""
        return machine.WDT(timeout=_WATCHDOG_MS)

    def counter(self):
        """Return the RTC counter as (seconds, milliseconds) since power-on.

        The counter is never set, and it continues to run in deep sleep.
        """
        ms = time.time_ns() // 1000000
        return ms // 1000, ms % 1000

    def retained(self):
        """Return the data that ``retain`` stored; its content is undefined after a power loss."""
        return self._rtc.memory()

    def retain(self, data):
        """Store ``data`` (at most 2 KiB) in RTC memory, which survives deep sleep."""
        self._rtc.memory(data)

    # ---- boot and wake ----

    def woken_by_button(self):
        """Return whether the button ended the sleep."""
        if machine.wake_reason() != machine.EXT1_WAKE:
            return False
        # The button may have been released during the boot. Then it was the button if no other pin
        # of this wake source is high.
        pins = [pin for pin in self._board.WAKE_ANY_HIGH if pin != self._board.BUTTON]
        return self.button() or not any(Pin(pin, Pin.IN).value() for pin in pins)

    def cable(self):
        """Return whether the cable supplies power."""
        return bool(Pin(self._board.VBUS, Pin.IN).value())

    def deep_sleep(self, ms, masked=()):
        """Sleep until a boot can end in ``ms`` milliseconds, or until a wake source is active.

        ``ms`` None: no task is scheduled. The interrupts of the sensors named in ``masked`` do not
        wake the chip. Does not return, because a wake is a reset.
        """
        if self._flash:
            self._flash.power_down()
        from coldtrail.ports import esp32_sleep

        esp32_sleep.sleep(self._board, ms, masked)

    def reset(self):
        """Reset the chip. Does not return."""
        machine.reset()

    def restart(self):
        """Restart the program, so that the boot cause is "commanded". Does not return."""
        from coldtrail.ports import esp32_sleep

        esp32_sleep.restart()

    # ---- parts ----

    def modem(self):
        """Return the driver of the modem; the state of the modem does not change."""
        # A session mostly waits, so run slower. The UART's clock does not change.
        machine.freq(80_000_000)
        return super().modem()
