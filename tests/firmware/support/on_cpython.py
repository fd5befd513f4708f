"""What the firmware uses of MicroPython's ``time`` and ``asyncio``, for CPython.

Importing this module extends those two. ``run`` executes a coroutine in virtual time: nobody
sleeps, and a wait that nothing can end is an error instead of a test that hangs.
"""

import asyncio
import selectors
import time
from collections.abc import Callable, Coroutine
from typing import Any

_PERIOD = 1 << 30  # of ticks_ms, as on the ESP32


class EndlessWaitError(Exception):
    """Every task waits, and no time and no input will wake one."""


class _Selector(selectors.DefaultSelector):
    """Lets time pass at once."""

    now = 0.0
    tick: Callable[[float], None] | None = None

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready:
            return ready
        if self.tick:
            self.now += min(0.001, 0.001 if timeout is None else max(0.0, timeout))
            self.tick(self.now)
        elif timeout is None:
            raise EndlessWaitError
        else:
            self.now += max(0.0, timeout)
        return ready


class _VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self, tick: Callable[[float], None] | None) -> None:
        self.clock = _Selector()
        self.clock.tick = tick
        # So that a test meets the wrap of ticks_ms.
        self.clock.now = (_PERIOD - 1500) / 1000
        super().__init__(self.clock)

    def time(self) -> float:
        return self.clock.now


def run(coroutine: Coroutine[Any, Any, Any], tick: Callable[[float], None] | None = None) -> Any:
    """Run in virtual time and return the result.

    ``tick`` is told the time in seconds every millisecond, for a model that has events of its own.

    Raises:
        EndlessWaitError: a wait has no limit.
    """
    with asyncio.Runner(loop_factory=lambda: _VirtualLoop(tick)) as runner:
        return runner.run(coroutine)


def now_ms() -> int:
    """Milliseconds of the running loop's clock, of the host's outside of one."""
    try:
        return int(asyncio.get_running_loop().time() * 1000)
    except RuntimeError:
        return time.monotonic_ns() // 1_000_000


def _ticks_ms() -> int:
    return now_ms() % _PERIOD


def _ticks_add(ticks: int, delta: int) -> int:
    return (ticks + delta) % _PERIOD


def _ticks_diff(end: int, start: int) -> int:
    return (end - start + _PERIOD // 2) % _PERIOD - _PERIOD // 2


def _sleep_ms(ms: int) -> None:
    loop = asyncio.get_running_loop()
    if isinstance(loop, _VirtualLoop):
        loop.clock.now += ms / 1000
        if loop.clock.tick:
            loop.clock.tick(loop.clock.now)
    else:
        time.sleep(ms / 1000)


class Uart:
    """One end of a serial line in memory, with the methods of ``machine.UART``."""

    def __init__(self) -> None:
        self.peer: Uart | None = None
        self._received = bytearray()
        self._readable = asyncio.Event()

    def write(self, data: bytes) -> int:
        assert self.peer is not None
        self.peer._received += data
        self.peer._readable.set()
        return len(data)

    def init(self, **options: int) -> None:
        """Change the rate; in memory every rate is the right one."""

    def any(self) -> int:
        return len(self._received)

    def readinto(self, buffer: Any) -> int | None:
        count = min(len(buffer), len(self._received))
        buffer[:count] = self._received[:count]
        del self._received[:count]
        return count or None

    async def readable(self) -> None:
        while not self._received:
            self._readable.clear()
            await self._readable.wait()


def uart_pair() -> tuple[Uart, Uart]:
    """Return the two ends of a line."""
    one, other = Uart(), Uart()
    one.peer, other.peer = other, one
    return one, other


class _Stream:
    """``asyncio.StreamReader`` and ``StreamWriter`` of MicroPython, over a ``Uart``."""

    def __init__(self, uart: Uart, _extra: object = None) -> None:
        self._uart = uart

    async def readinto(self, buffer: Any) -> int | None:
        await self._uart.readable()
        return self._uart.readinto(buffer)

    def write(self, data: bytes) -> None:
        self._uart.write(data)

    async def drain(self) -> None:
        await asyncio.sleep(0)


def _install() -> None:
    for name, function in (
        ("ticks_ms", _ticks_ms),
        ("ticks_add", _ticks_add),
        ("ticks_diff", _ticks_diff),
        ("sleep_ms", _sleep_ms),
    ):
        setattr(time, name, function)
    for name, member in (
        ("sleep_ms", lambda ms: asyncio.sleep(ms / 1000)),
        ("wait_for_ms", lambda awaitable, ms: asyncio.wait_for(awaitable, ms / 1000)),
        # CPython's own streams do not go through these names.
        ("StreamReader", _Stream),
        ("StreamWriter", _Stream),
    ):
        setattr(asyncio, name, member)


_install()
