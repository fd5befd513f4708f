"""nRF52840: what the tracker asks of it, and how it sleeps.

A wake is no reset here: the chip idles with its RAM (System ON), and ``deep_sleep`` returns.
"""

import time

import machine
from machine import Pin
from micropython import const

from coldtrail.ports import nrf52840_registers as registers
from coldtrail.ports.nrf52840_uart import UART
from coldtrail.ports.wired import Wired

# From records.py, so that the compiler puts them in place.
_POWER_ON = const(1)
_WATCHDOG = const(3)
_COMMANDED = const(4)
_OTHER = const(5)

_WATCHDOG_MS = const(30_000)  # the longest single step is a cold mount of the log
_LOOK_MS = const(1_000)
_TICKS = const(10)
_SUPPLY_MS = const(2)  # a sensor's own supply has risen
_MARK = const(0x43)  # none that a bootloader takes for its own
_PIECE = const(256)  # as much as the flash is given at once


class SPI:
    """The bus for its drivers, with all that EasyDMA sends and receives in RAM.

    It reads no flash, where the constants of a ROMFS lie: the interpreter would then send nothing
    and say nothing. And where it only writes, the interpreter has what comes back put at address
    0, which the product specification does not allow (6.25.2).
    """

    def __init__(self, spi):
        """Use ``spi``, the interpreter's."""
        self._spi = spi
        self._buffer = memoryview(bytearray(_PIECE))
        self.readinto = spi.readinto
        self.write_readinto = spi.write_readinto
        self.deinit = spi.deinit

    def write(self, data):
        """Send ``data``, from wherever it lies."""
        for start in range(0, len(data), _PIECE):
            piece = self._buffer[: min(_PIECE, len(data) - start)]
            piece[:] = data[start : start + len(piece)]
            self._spi.write_readinto(piece, piece)


class Port(Wired):
    """What the tracker asks of a board."""

    def __init__(self, board):
        """Take the chip over from reset; ``board`` is the board file's module."""
        registers.start_crystal()
        self._seconds = registers.Seconds()
        self._watchdog = None
        self._kept = b""
        reasons = registers.reset_reasons()
        self.boot_cause = _cause(reasons)  # as in ``records``; None once it has slept
        registers.mark(0)
        self._by_button = bool(reasons & registers.OFF)  # VBUS has a reason of its own
        super().__init__(board)
        self._supply(True)

    # ---- time and memory ----

    def watchdog(self):
        """Arm and return the watchdog."""
        if self._watchdog is None:
            self._watchdog = registers.Watchdog(_WATCHDOG_MS)
        return self._watchdog

    def counter(self):
        """Return the seconds and milliseconds since the boot."""
        return self._seconds.now()

    def retained(self):
        """Return what ``retain`` kept."""
        return self._kept

    def retain(self, data):
        """Keep ``data`` through the sleep, in which the RAM lives on."""
        self._kept = data

    # ---- boot and wake ----

    def woken_by_button(self):
        """Return whether the button is what ended the sleep, or System OFF."""
        return self._by_button

    def cable(self):
        """Return whether there is power on the cable."""
        return registers.vbus()

    def deep_sleep(self, ms, masked=()):
        """Idle for ``ms``, or until button, cable or a sensor's interrupt; the heap is kept.

        The interrupts of the sensors named in ``masked`` do not wake. ``ms`` None: there is
        nothing to do; unless one of the two wakes at once, the chip goes off, does not return,
        and button or cable boot it.
        """
        if self._flash:
            self._flash.power_down()
        self._rest()
        # A cable that is in already does not end System OFF: only its coming does (5.3.3).
        if ms is None and not self.button() and not registers.vbus():
            self.led(0, 0)
            Pin(self._board.BUTTON, Pin.IN)
            registers.sense_high(self._board.BUTTON)
            registers.system_off()
        self._by_button = self._idle(ms or 0, masked)
        self.boot_cause = None
        self._supply(True)

    def _idle(self, ms, masked):
        """Wait until it is over or something wakes; return whether that was the button."""
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
            # Each until an interrupt: that of the interpreter's ticks comes every millisecond, and
            # whatever wakes stands for longer than these few.
            for _ in range(_TICKS):
                machine.lightsleep()

    def _rest(self):
        """Leave the buses and take their supply from the sensors that have one of their own.

        A UART's receiver would keep the fast clock running, and a pin that is still driven would
        supply such a sensor through its input.
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
                registers.drive_high(wiring["supply"])  # a MAX31865 wants 3.5 mA
                waits = on
        if waits:
            time.sleep_ms(_SUPPLY_MS)

    def reset(self):
        """Boot anew; does not return."""
        machine.reset()

    def restart(self):
        """Boot anew, as a boot that was asked for; does not return."""
        registers.mark(_MARK)
        machine.reset()

    # ---- parts ----

    def bus(self, kind, number):
        """Return the bus, made when first asked for."""
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
    """Return why the chip booted (``records``).

    Power-on, brown-out and reset pin cannot be told apart; the end of System OFF is as good as a
    power-on, for neither RAM nor counter outlive it.
    """
    if reasons & registers.DOG:
        return _WATCHDOG
    if reasons & registers.SREQ:
        return _COMMANDED if registers.marked() == _MARK else _OTHER
    if reasons & ~(registers.OFF | registers.VBUS):
        return _OTHER
    return _POWER_ON
