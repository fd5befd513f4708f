"""ESP32: causes of a boot, deep sleep and what ends it. Imported at both ends of a wake."""

import esp32
import machine
from machine import Pin
from micropython import const

# From records.py, so that the compiler puts them in place.
_POWER_ON = const(1)
_WATCHDOG = const(3)
_COMMANDED = const(4)
_OTHER = const(5)

_IDLE_MS = const(86_400_000)


def boot_cause():
    """Return why the chip booted (``records``), or None when it woke from deep sleep."""
    cause = machine.reset_cause()
    if cause == machine.DEEPSLEEP_RESET:
        return None
    if cause == machine.PWRON_RESET:  # the port counts a brown-out among these
        return _POWER_ON
    if cause == machine.WDT_RESET:
        return _WATCHDOG
    if cause == machine.SOFT_RESET:
        return _COMMANDED
    return _OTHER


def hold(board, held):
    """Hold the outputs that must not float in deep sleep, or let go of them."""
    # The stubs lack both calls; the ESP32 port documents them.
    for pin, level in board.HELD:
        Pin(pin, Pin.OUT, value=level, hold=held)  # type: ignore[call-arg]
    esp32.gpio_deep_sleep_hold(held)  # type: ignore[attr-defined]


def sleep(board, ms, masked):
    """Sleep until a boot can be over in ``ms``, or for a day where that is None.

    Button, cable and the interrupt of a sensor not in ``masked`` end it sooner.
    """
    ms = _IDLE_MS if ms is None else max(1, ms - board.BOOT_MS)
    lines = [board.SENSORS.get(name, {}).get(role) for name in masked for role in ("int", "int1")]
    hold(board, True)
    high = [Pin(pin, Pin.IN) for pin in board.WAKE_ANY_HIGH if pin not in lines]
    esp32.wake_on_ext1(high, esp32.WAKEUP_ANY_HIGH)
    pin, level = getattr(board, "WAKE_EXT0", (None, 0))  # a board may do without
    esp32.wake_on_ext0(None if pin is None or pin in lines else Pin(pin, Pin.IN), level)
    machine.deepsleep(ms)


def restart():
    """Start the program anew; the next boot's cause says that it was asked for."""
    machine.soft_reset()
