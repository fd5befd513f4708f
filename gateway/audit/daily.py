"""The daily anchor, made by the judge, so that nobody has to remember it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from coldtrail_gateway.audit import anchors, trail
from coldtrail_gateway.audit.trail import Wanted
from coldtrail_gateway.errors import GatewayError
from coldtrail_gateway.store.database import Store
from coldtrail_gateway.store.tower.database import Tower

log = logging.getLogger("coldtrail.judge")

_DAY_MS: Final = 86_400_000


@dataclass
class Daily:
    """Makes an anchor whenever the newest one is of an earlier day (UTC).

    `now_ms` tells UTC in ms; the rest is what `anchors.make` takes.
    """

    store: Store
    tower: Tower
    folder: Path
    key_file: Path
    tsa: str | None
    now_ms: Callable[[], int]

    def make_if_due(self) -> None:
        """Make the anchor if it is due.

        Raises:
            GatewayError: there is no anchor of this day, or it has no time stamp.
        """
        now_ms = self.now_ms()
        if self._newest_ms(now_ms) // _DAY_MS == now_ms // _DAY_MS:
            return
        try:
            made = anchors.make(
                self.store, self.tower, self.folder, self.key_file, trail.SYSTEM, now_ms, self.tsa
            )
        except GatewayError as error:
            raise GatewayError(f"The daily anchor: {error}") from error
        log.info("anchor %d: %d rows, in %s", made.number, made.lines, self.folder)

    def _newest_ms(self, now_ms: int) -> int:
        """Return when the newest was made; one of a clock that ran ahead does not count."""
        wanted = Wanted(action=anchors.MADE.name, until_ms=now_ms + 1)
        with self.tower.read() as connection:
            return max((entry.at_ms for entry in trail.find(connection, wanted)), default=0)
