"""Module select: UARTs and the console wait in the simulator, other streams by their ioctl."""

import sys

import _tasks  # asyncio imports select just before it looks for _asyncio
from _link import call, ready
from micropython import const

sys.modules["_asyncio"] = _tasks

_OP_POLL = const(7)
_OP_RESUME = const(8)
_STDIN = const(8)
_INTERRUPTED = const(256)

POLLIN = const(1)
POLLOUT = const(4)
POLLERR = const(8)
POLLHUP = const(16)


def _line(stream):
    if stream is sys.stdin or stream is sys.stdin.buffer:
        return _STDIN
    return getattr(stream, "line", 0)


class poll:
    def __init__(self):
        self._streams = {}

    def register(self, stream, events=POLLIN | POLLOUT):
        self._streams[id(stream)] = (stream, events)

    modify = register

    def unregister(self, stream):
        del self._streams[id(stream)]

    def poll(self, timeout=-1):
        op = _OP_POLL
        while True:
            lines = 0
            any_ready = False
            for stream, events in self._streams.values():
                line = _line(stream)
                if line:
                    if events & POLLIN:
                        lines |= line
                    any_ready = any_ready or events & POLLOUT
                else:
                    any_ready = any_ready or stream.ioctl(3, events)
            if any_ready:
                op, timeout = _OP_POLL, 0
            # Only input from the console can be read without a request to the simulator.
            if timeout == 0 and not lines & _STDIN:
                got = ready() & lines if lines else 0
                break
            got = call(op, lines, timeout & 0xFFFFFFFF)
            if any_ready or not got & _INTERRUPTED:
                break
            op = _OP_RESUME
        found = []
        if got or any_ready:
            for stream, events in self._streams.values():
                line = _line(stream)
                if line:
                    events &= POLLOUT | (1 if line & got else 0)
                else:
                    events = stream.ioctl(3, events)
                if events:
                    found.append((stream, events))
        return found

    def ipoll(self, timeout=-1, flags=0):
        return iter(self.poll(timeout))
