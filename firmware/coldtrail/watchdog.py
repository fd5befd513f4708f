"""Feeds the hardware watchdog only while every task keeps its word."""

import time


class Watchdog:
    """Each task says by when it will be heard of again; one that is late stops the feeding.

    So a task that waits for ever is bitten as surely as one that computes for ever.
    """

    def __init__(self, wdt):
        """Guard ``wdt``, an armed ``machine.WDT`` (or anything with ``feed``)."""
        self._wdt = wdt
        self._due = {}

    def expect(self, task, limit_ms):
        """Note that ``task`` is alive and will call again within ``limit_ms``."""
        self._due[task] = time.ticks_add(time.ticks_ms(), limit_ms)

    def done(self, task):
        """Note that ``task`` has ended as it should."""
        self._due.pop(task, None)

    def feed(self):
        """Feed, unless a task is overdue; to be called more often than the hardware's limit."""
        now = time.ticks_ms()
        for due in self._due.values():
            if time.ticks_diff(due, now) < 0:
                return
        self._wdt.feed()
