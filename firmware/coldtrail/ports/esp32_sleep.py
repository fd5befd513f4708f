"""ESP32: boot causes, deep sleep and wake sources. Imported at both ends of a wake."""

import esp32
import machine
from machine import Pin
from micropython import const

# Constants of records.py, repeated so that the compiler can inline them.
_POWER_ON = const(1)
_WATCHDOG = const(3)
_COMMANDED = const(4)
_OTHER = const(5)

_IDLE_MS = const(86_400_000)


def boot_cause():
    """Return the boot cause (as in ``records``), or None after deep sleep."""
    cause = machine.reset_cause()
    if cause == machine.DEEPSLEEP_RESET:
        return None
    if cause == machine.PWRON_RESET:  # the ESP32 port also reports a brown-out as this
        return _POWER_ON
    if cause == machine.WDT_RESET:
        return _WATCHDOG
    if cause == machine.SOFT_RESET:
        return _COMMANDED
    return _OTHER


def hold(board, held):
    """Hold the outputs that must not float in deep sleep, or release them."""
    # The type stubs lack both calls, which the ESP32 port documents.
    for pin, level in board.HELD:
        Pin(pin, Pin.OUT, value=level, hold=held)  # type: ignore[call-arg]
    esp32.gpio_deep_sleep_hold(held)  # type: ignore[attr-defined]


def sleep(board, ms, masked):
    """Sleep until a boot can end in ``ms`` milliseconds, or for a day when ``ms`` is None.

    Button, cable or the interrupt of a sensor that is not in ``masked`` ends the sleep earlier.
    """
    ms = _IDLE_MS if ms is None else max(1, ms - board.BOOT_MS)
    lines = [board.SENSORS.get(name, {}).get(role) for name in masked for role in ("int", "int1")]
    hold(board, True)
    high = [Pin(pin, Pin.IN) for pin in board.WAKE_ANY_HIGH if pin not in lines]
    esp32.wake_on_ext1(high, esp32.WAKEUP_ANY_HIGH)
    pin, level = board.WAKE_EXT0
    esp32.wake_on_ext0(None if pin in lines else Pin(pin, Pin.IN), level)
    machine.deepsleep(ms)


def restart():
    """Restart the program, so that the next boot cause is "commanded"."""
    machine.soft_reset()
