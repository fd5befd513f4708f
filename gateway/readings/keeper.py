"""Keeps the read model up to date: for as long as a judge runs, or before a question is answered.

One process at a time reads what is new in the archive. Who asks a question does so itself where no
judge runs, and waits a little for the judge where one does; who then still knows less than the
archive says so.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from coldtrail_gateway.contract.utc import iso
from coldtrail_gateway.errors import GatewayError
from coldtrail_gateway.readings import progress
from coldtrail_gateway.readings.projection import Projection
from coldtrail_gateway.store.database import Store
from coldtrail_gateway.store.errors import ExchangedError, StoreError
from coldtrail_gateway.store.feed import Behind, Feed, SetBackError
from coldtrail_gateway.store.tower.database import Tower

log = logging.getLogger("coldtrail.judge")

POLL_S: Final = 0.5
"""How often the archive is asked for what is new, s. It costs two reads of an index."""
PLACE_LIMIT_S: Final = 10.0
"""How long a judge waits for its place at the start, s: a question that is answered takes it."""
TROUBLE_WAIT_S: Final = 2.0
SAY_S: Final = 30.0
"""How often it is said how far behind it is, s, as long as it is."""


class Duty(NamedTuple):
    """What a judge does beside reading, and how often, s. It raises nothing but GatewayError."""

    every_s: float
    act: Callable[[], None]


class OccupiedError(GatewayError):
    """Another process keeps this read model."""


def occupied(tower: Tower) -> OccupiedError:
    """Return the sentence about another process that keeps the read model."""
    return OccupiedError(
        f"Another process keeps the read model in {tower.name} (coldtrail gateway judge or "
        "rebuild): end it first, or leave it to that one."
    )


def keep(
    store: Store,
    tower: Tower,
    stopping: threading.Event,
    duties: Sequence[Duty] = (),
) -> None:
    """Keep the read model until told to stop.

    `duties` are done when nothing new is there to be read. What one of them raises is logged, and
    it is done again when it is due.

    Raises:
        OccupiedError: another process does so.
        SetBackError: the archive is not the one that the read model was made from.
        ExchangedError: the file of one of the databases is not the one that was opened.
    """
    until = time.monotonic() + PLACE_LIMIT_S
    while not stopping.is_set():
        try:
            with tower.keeping() as is_ours:
                if is_ours:
                    _Watch(store, tower, duties).run(stopping)
                elif time.monotonic() > until:
                    raise occupied(tower)
            stopping.wait(POLL_S)
        except (SetBackError, ExchangedError):
            raise
        except StoreError as error:
            if stopping.is_set():
                break  # that is what has interrupted it
            # The place, which may have been lost with the connection, is taken again.
            log.warning("%s Trying again.", error)
            until = time.monotonic() + PLACE_LIMIT_S
            stopping.wait(TROUBLE_WAIT_S)
    log.info("stopped")


def catch_up(store: Store, tower: Tower, limit_s: float) -> Behind:
    """Bring the read model up to date, for so long at most; return how far behind it is then.

    Raises:
        SetBackError: the archive is not the one that the read model was made from.
        StoreError: a database does not answer.
    """
    projection, feed = Projection(store, tower), Feed(store)
    until = time.monotonic() + limit_s
    while True:
        with tower.keeping() as is_ours:
            if is_ours:
                while projection.step() and time.monotonic() < until:
                    pass
                projection.refresh()
        behind = _behind(tower, feed)
        if not behind.at_most or is_ours or time.monotonic() > until:
            return behind
        time.sleep(POLL_S / 5)


def sentence(behind: Behind) -> str:
    """Say how far behind the archive a read model is; empty where it is not."""
    if not behind.at_most:
        return ""
    since = f", the oldest of {iso(behind.oldest_ms)}" if behind.oldest_ms is not None else ""
    held = f"; held up by {', '.join(behind.awaited)}" if behind.awaited else ""
    return f"up to {behind.at_most} blocks behind the archive{since}{held}"


def _behind(tower: Tower, feed: Feed) -> Behind:
    with tower.read() as connection:
        here = progress.read(connection)
    return feed.behind(here)


class _Watch:
    """Reads what is new, tells the log how far behind that is, and does the duties."""

    def __init__(self, store: Store, tower: Tower, duties: Sequence[Duty]) -> None:
        self._projection = Projection(store, tower)
        self._due_at = dict.fromkeys(duties, 0.0)
        self._feed = Feed(store)
        self._tower = tower
        self._said: str | None = None
        self._say_at = 0.0

    def run(self, stopping: threading.Event) -> None:
        """Read until told to stop."""
        while not stopping.is_set():
            read = self._projection.step()
            self._tell(is_idle=not read)
            if not read:
                self._do_duties()
                stopping.wait(POLL_S)

    def _do_duties(self) -> None:
        for duty, due_at in self._due_at.items():
            if time.monotonic() >= due_at:
                self._due_at[duty] = time.monotonic() + duty.every_s
                try:
                    duty.act()
                except GatewayError as error:
                    log.warning("%s", error)

    def _tell(self, *, is_idle: bool) -> None:
        """Say it at the start, from time to time while it is behind, and when it no longer is."""
        is_due = time.monotonic() >= self._say_at
        was_behind = self._said != ""
        if not (is_due or (is_idle and was_behind)):
            return
        said = sentence(_behind(self._tower, self._feed))
        if is_due:
            self._projection.refresh()
            self._say_at = time.monotonic() + SAY_S
        if (said and is_due) or (was_behind and not said):
            log.info("%s", said or "up to date")
            self._said = said
