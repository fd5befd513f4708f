"""nRF52840: the interface of a board to the tracker, including sleep.

On this chip a wake is not a reset: the chip idles with its RAM powered (System ON), and
``deep_sleep`` returns.
"""

import time

import machine
from machine import Pin
from micropython import const

from coldtrail.ports import nrf52840_registers as registers
from coldtrail.ports.nrf52840_uart import UART
from coldtrail.ports.wired import Wired

# Constants of records.py, repeated so that the compiler can inline them.
_POWER_ON = const(1)
_WATCHDOG = const(3)
_COMMANDED = const(4)
_OTHER = const(5)

_WATCHDOG_MS = const(30_000)  # the longest single step is a cold mount of the log
_LOOK_MS = const(1_000)
_TICKS = const(10)
_SUPPLY_MS = const(2)  # rise time of a sensor's own supply
_MARK = const(0x43)  # a value that no bootloader uses
_PIECE = const(256)  # bytes that are sent to the flash at once


class SPI:
    """An SPI bus that keeps all data for EasyDMA in RAM.

    EasyDMA cannot read flash, where the constants of a ROMFS are; the interpreter would then send
    nothing and report no error. When it only writes, the interpreter also stores the received
    bytes at address 0, which the product specification forbids (6.25.2).
    """

    def __init__(self, spi):
        """Wrap ``spi``, the interpreter's bus."""
        self._spi = spi
        self._buffer = memoryview(bytearray(_PIECE))
        self.readinto = spi.readinto
        self.write_readinto = spi.write_readinto
        self.deinit = spi.deinit

    def write(self, data):
        """Send ``data``, which may be in RAM or in flash."""
        for start in range(0, len(data), _PIECE):
            piece = self._buffer[: min(_PIECE, len(data) - start)]
            piece[:] = data[start : start + len(piece)]
            self._spi.write_readinto(piece, piece)


class Port(Wired):
    """The interface of a board to the tracker."""

    def __init__(self, board):
        """Initialise the chip after a reset; ``board`` is the board file's module."""
        registers.start_crystal()
        self._seconds = registers.Seconds()
        self._watchdog = None
        self._kept = b""
        reasons = registers.reset_reasons()
        self.boot_cause = _cause(reasons)  # as in ``records``; None after the first sleep
        registers.mark(0)
        self._by_button = bool(reasons & registers.OFF)  # a wake by VBUS has its own reason
        super().__init__(board)
        self._supply(True)

    # ---- time and memory ----

    def watchdog(self):
        """Arm and return the watchdog."""
        if self._watchdog is None:
            self._watchdog = registers.Watchdog(_WATCHDOG_MS)
        return self._watchdog

    def counter(self):
        """Return (seconds, milliseconds) since the boot."""
        return self._seconds.now()

    def retained(self):
        """Return the data that ``retain`` stored."""
        return self._kept

    def retain(self, data):
        """Store ``data``; the RAM keeps its content during sleep."""
        self._kept = data

    # ---- boot and wake ----

    def woken_by_button(self):
        """Return whether the button ended the sleep or System OFF."""
        return self._by_button

    def cable(self):
        """Return whether the cable supplies power."""
        return registers.vbus()

    def deep_sleep(self, ms, masked=()):
        """Idle for ``ms`` milliseconds, or until button, cable or a sensor's interrupt.

        The heap is kept. The interrupts of the sensors named in ``masked`` do not wake the chip.
        ``ms`` None: no task is scheduled, so the chip enters System OFF and does not return;
        button or cable boot it. If one of the two is active already, the function returns at once.
        """
        if self._flash:
            self._flash.power_down()
        self._rest()
        # A cable that is already connected does not end System OFF; only its connection does
        # (5.3.3).
        if ms is None and not self.button() and not registers.vbus():
            self.led(0, 0)
            Pin(self._board.BUTTON, Pin.IN)
            registers.sense_high(self._board.BUTTON)
            registers.system_off()
        self._by_button = self._idle(ms or 0, masked)
        self.boot_cause = None
        self._supply(True)

    def _idle(self, ms, masked):
        """Wait for the time or a wake source; return whether the button ended the wait."""
        button = Pin(self._board.BUTTON, Pin.IN)
        wakes = [(button, 1)]
        for name, wiring in self._board.SENSORS.items():
            for role, level in (("int", 0), ("int1", 1)):
                if role in wiring and name not in masked:
                    wakes.append((Pin(wiring[role], Pin.IN), level))
        looked = time.ticks_ms()
        end = time.ticks_add(looked, ms)
        while True:
            for pin, level in wakes:
                if pin.value() == level:
                    return pin is button
            now = time.ticks_ms()
            if registers.vbus() or time.ticks_diff(end, now) <= 0:
                return False
            if time.ticks_diff(now, looked) >= _LOOK_MS:
                looked = now
                self.watchdog().feed()
                self.counter()
            # Each call returns at an interrupt. The interpreter's tick interrupts every
            # millisecond, and a wake source stays active for longer than these few calls.
            for _ in range(_TICKS):
                machine.lightsleep()

    def _rest(self):
        """Release the buses, and switch off the supply of sensors that have their own.

        The receiver of a UART would keep the fast clock running, and a pin that is still driven
        would supply such a sensor through its input.
        """
        for kind, number in list(self._buses):
            if kind != "I2C":
                self._buses.pop((kind, number)).deinit()
        self._supply(False)

    def _supply(self, on):
        waits = False
        for wiring in self._board.SENSORS.values():
            if "supply" in wiring:
                Pin(wiring["cs"], Pin.IN)
                Pin(wiring["supply"], Pin.OUT, value=on)
                registers.drive_high(wiring["supply"])  # a MAX31865 draws 3.5 mA
                waits = on
        if waits:
            time.sleep_ms(_SUPPLY_MS)

    def reset(self):
        """Reset the chip. Does not return."""
        machine.reset()

    def restart(self):
        """Reset the chip, so that the boot cause is "commanded". Does not return."""
        registers.mark(_MARK)
        machine.reset()

    # ---- parts ----

    def bus(self, kind, number):
        """Return the bus, which is created on first use."""
        if (kind, number) in self._buses:
            return self._buses[kind, number]
        if kind == "UART":
            bus = UART(number, **self._board.BUSES[kind, number]["settings"])
        else:
            bus = super().bus(kind, number)
            if kind == "SPI":
                bus = SPI(bus)
        self._buses[kind, number] = bus
        return bus


def _cause(reasons):
    """Return the boot cause (as in ``records``).

    Power-on, brown-out and the reset pin cannot be distinguished. The end of System OFF counts as
    a power-on, because neither RAM nor the counter survives it.
    """
    if reasons & registers.DOG:
        return _WATCHDOG
    if reasons & registers.SREQ:
        return _COMMANDED if registers.marked() == _MARK else _OTHER
    if reasons & ~(registers.OFF | registers.VBUS):
        return _OTHER
    return _POWER_ON
