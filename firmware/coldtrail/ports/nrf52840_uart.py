"""nRF52840: the UART with a buffer that a whole answer fits into.

The interpreter's own buffer has 64 bytes, which are 17 ms at 38,400 baud, and cannot be polled.
"""

import io

import machine
from micropython import const

_SIZE = const(2048)
_PIECE = const(64)  # written at once: the interpreter waits until it is out
_POLL = const(3)  # MP_STREAM_POLL, and its flags
_READABLE = const(1)
_WRITABLE = const(4)


class UART(io.IOBase):
    """A stream that does not block in reading; at its pins, which the image gives it."""

    def __init__(self, number, baudrate):
        """Receive from now on."""
        self._number = number
        self._ring = bytearray(_SIZE)
        self._head = self._tail = 0
        self.lost = 0  # bytes for which there was no room
        self.init(baudrate)

    def init(self, baudrate, rxbuf=_SIZE):
        """Turn to another rate; what was received before is gone."""
        self._uart = machine.UART(self._number, baudrate, timeout=0, timeout_char=0)
        self._head = self._tail = 0
        # Within the interrupt: what runs meanwhile may take longer than the 64 bytes last.
        self._uart.irq(self._receive, machine.UART.IRQ_RX, True)

    def deinit(self):
        """Stop; the receiver would keep the high-frequency clock running."""
        self._uart.deinit()

    def _receive(self, uart):
        """Take what has come. Runs in the interrupt: nothing may be allocated."""
        while uart.any():
            byte = uart.readchar()
            head = self._head
            behind = head + 1 if head < _SIZE - 1 else 0
            if behind == self._tail:
                self.lost += 1
            else:
                self._ring[head] = byte
                self._head = behind

    def ioctl(self, request, flags):
        """Tell whether it can be read and written; see MicroPython's ``io.IOBase``."""
        if request == _POLL:
            ready = _WRITABLE if self._head == self._tail else _WRITABLE | _READABLE
            return flags & ready
        return 0

    def readinto(self, buffer):
        """Take what there is into ``buffer``; return how many bytes, None for none."""
        head, tail = self._head, self._tail
        if head == tail:
            return None
        count = min(len(buffer), (head if head > tail else _SIZE) - tail)
        if count == 1:
            buffer[0] = self._ring[tail]
        else:
            buffer[:count] = memoryview(self._ring)[tail : tail + count]
        tail += count
        self._tail = tail if tail < _SIZE else 0
        return count

    def write(self, data):
        """Send the first bytes of ``data``; return how many."""
        if len(data) <= _PIECE:
            return self._uart.write(data)
        return self._uart.write(memoryview(data)[:_PIECE])
