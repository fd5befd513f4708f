"""Feeds the hardware watchdog only while every task keeps its deadline."""

import time


class Watchdog:
    """Each task states when it will report again; when one is late, the feeding stops.

    So a task that waits for ever leads to a reset, as one that computes for ever does.
    """

    def __init__(self, wdt):
        """Guard ``wdt``, an armed ``machine.WDT`` (or anything with ``feed``)."""
        self._wdt = wdt
        self._due = {}

    def expect(self, task, limit_ms):
        """Note that ``task`` is alive and will call again within ``limit_ms``."""
        self._due[task] = time.ticks_add(time.ticks_ms(), limit_ms)

    def done(self, task):
        """Note that ``task`` has ended and will not report again."""
        self._due.pop(task, None)

    def feed(self):
        """Feed, unless a task is overdue; to be called more often than the hardware's limit."""
        now = time.ticks_ms()
        for due in self._due.values():
            if time.ticks_diff(due, now) < 0:
                return
        self._wdt.feed()
