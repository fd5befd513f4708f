"""Ends the process on SIGTERM and SIGINT: in good order, or else without waiting any longer.

The gateway may be killed at any moment without a loss; so what does not end by itself in time
(a name server, a handshake or a database that does not answer) is not waited for. A database that
answers is told first, because its server would else hold the locks of who is gone.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

log = logging.getLogger("coldtrail.gateway")

PATIENCE_S: Final = 0.5
"""How long a wait is left alone after the signal, before it is interrupted."""

GRACE_S: Final = 2.0
_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


class Stopping(threading.Event):
    """Set by the signal; `interrupt` is then called once, from another thread."""

    def __init__(self) -> None:
        super().__init__()
        self.interrupt: Callable[[], None] = lambda: None


@contextmanager
def on_signals() -> Iterator[Stopping]:
    """Yield an event that a signal sets; `GRACE_S` after that the process ends at the latest.

    For the main thread of a process that has nothing to lose.
    """
    stopping, ended = Stopping(), threading.Event()
    noticed, notice = socket.socketpair()
    notice.setblocking(False)

    def watch() -> None:
        # A handler has to wait until the library's call that the main thread is in returns. The
        # interpreter writes the number of the signal at once.
        while received := noticed.recv(1):
            if received[0] in _SIGNALS:
                stopping.set()
                if not ended.wait(PATIENCE_S):
                    threading.Thread(target=stopping.interrupt, daemon=True).start()
                if not ended.wait(GRACE_S - PATIENCE_S):
                    log.warning("stopped in the middle of a wait; nothing is lost by that")
                    os._exit(0)

    before = [signal.signal(number, lambda *_: None) for number in _SIGNALS]
    descriptor = signal.set_wakeup_fd(notice.fileno())
    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield stopping
    finally:
        ended.set()
        signal.set_wakeup_fd(descriptor)
        for number, handler in zip(_SIGNALS, before, strict=True):
            signal.signal(number, handler)
        notice.close()
        watcher.join()
        noticed.close()
