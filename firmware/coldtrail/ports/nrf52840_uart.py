"""nRF52840: a UART with a receive buffer that holds a whole answer.

The interpreter's own buffer has 64 bytes, which is 17 ms at 38,400 baud, and cannot be polled.
"""

import io

import machine
from micropython import const

_SIZE = const(2048)
_PIECE = const(64)  # bytes in one write: the interpreter blocks until they are sent
_POLL = const(3)  # MP_STREAM_POLL and its flags
_READABLE = const(1)
_WRITABLE = const(4)


class UART(io.IOBase):
    """A stream whose reads do not block. Its pins are fixed in the image."""

    def __init__(self, number, baudrate):
        """Start to receive."""
        self._number = number
        self._ring = bytearray(_SIZE)
        self._head = self._tail = 0
        self.lost = 0  # bytes that did not fit into the buffer
        self.init(baudrate)

    def init(self, baudrate, rxbuf=_SIZE):
        """Change the rate; received bytes are discarded."""
        self._uart = machine.UART(self._number, baudrate, timeout=0, timeout_char=0)
        self._head = self._tail = 0
        # Receive in the interrupt, because other code may run for longer than 64 bytes take.
        self._uart.irq(self._receive, machine.UART.IRQ_RX, True)

    def deinit(self):
        """Stop, because the receiver would keep the high-frequency clock running."""
        self._uart.deinit()

    def _receive(self, uart):
        """Store the received bytes. This runs in an interrupt, so it must not allocate memory."""
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
        """Return whether the stream can be read and written; see MicroPython's ``io.IOBase``."""
        if request == _POLL:
            ready = _WRITABLE if self._head == self._tail else _WRITABLE | _READABLE
            return flags & ready
        return 0

    def readinto(self, buffer):
        """Copy the received bytes into ``buffer``; return their number, or None without any."""
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
