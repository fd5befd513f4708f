"""Keeps each tracker's command topic at what the store says: its oldest open command.

Like a confirmation it is state, not a message: one retained message, replaced when the command has
its outcome or has expired, cleared when there is none. Several gateways at one broker may do so:
each repairs within a second what another has said out of date.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Final

from coldtrail_gateway.clock import Clock
from coldtrail_gateway.contract import command as words
from coldtrail_gateway.contract import envelope
from coldtrail_gateway.contract.command import Command
from coldtrail_gateway.contract.envelope import Kind
from coldtrail_gateway.store.database import Store

log = logging.getLogger("coldtrail.gateway")

POLL_S: Final = 1.0

Publish = Callable[[str, bytes], None]


class Downlink:
    """The command topics; `publish(tracker, message)` retains a message for a tracker."""

    def __init__(self, store: Store, clock: Clock, publish: Publish) -> None:
        self._store = store
        self._clock = clock
        self._publish = publish
        self._told: dict[str, int] = {}  # counter of the command retained for a tracker; 0: none
        self._due_at = 0.0

    def forget(self) -> None:
        """Forget what was published: the broker may have lost what it retained."""
        self._told.clear()
        with self._store.read() as tables:
            self._told = dict.fromkeys(tables.commands.trackers(), -1)
        self._due_at = 0.0

    def poll(self) -> None:
        """Look for commands that other processes made or withdrew, at most once in `POLL_S`.

        Raises:
            StoreError: the database does not answer.
        """
        if time.monotonic() >= self._due_at:
            self.update()

    def update(self) -> None:
        """Publish what has changed.

        Raises:
            StoreError: the database does not answer.
        """
        self._due_at = time.monotonic() + POLL_S
        now_ms = self._clock.now_ms()
        sealed: dict[str, bytes] = {}
        with self._store.read() as tables:
            due = tables.commands.due(now_ms // 1000)
            changed = [
                tracker
                for tracker in sorted(due.keys() | self._told.keys())
                if self._told.get(tracker, 0) != _counter(due.get(tracker))
            ]
            keys = tables.registry.keys(changed) if changed else {}
            for tracker in changed:
                if tracker in due:
                    # The version that the tracker used last: it may know no other.
                    version = tables.registry.tracker(tracker).key_version or max(keys[tracker])
                    sealed[tracker] = envelope.seal(
                        due[tracker].payload(),
                        Kind.COMMAND,
                        tracker,
                        version,
                        keys[tracker][version].downlink,
                    )
        for tracker in changed:
            self._publish(tracker, sealed.get(tracker, b""))
            self._told[tracker] = _counter(due.get(tracker))
        new = [due[tracker] for tracker in sealed if due[tracker].sent_ms is None]
        for command in new:
            log.info("%s: command %s sent", command.tracker, words.described(command.fields))
        if new:
            with self._store.write() as tables:
                for command in new:
                    tables.commands.sent(command, now_ms)


def _counter(command: Command | None) -> int:
    return command.counter if command else 0
