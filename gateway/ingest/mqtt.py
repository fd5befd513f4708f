"""Keeps the gateway at its broker: connects, serves, and begins again after what goes wrong.

Each connection has a session of its own. What outlasts it is in the store, at the broker, or in
the list of confirmations that are still owed.
"""

from __future__ import annotations

import logging
import ssl
import threading
import time
from collections import Counter
from collections.abc import Sequence
from typing import Final

from coldtrail_gateway.clock import Clock
from coldtrail_gateway.errors import GatewayError
from coldtrail_gateway.ingest.broker import MAX_PACKET, Address, BrokerError
from coldtrail_gateway.ingest.connection import Connection, ConnectionLost, Rejected, TakenOver
from coldtrail_gateway.ingest.session import WAITS_S, Debts, Session, presence_topic
from coldtrail_gateway.store.database import Store

log = logging.getLogger("coldtrail.gateway")

START_LIMIT_S: Final = 10.0
RIVAL_WAITS_S: Final = (1.0, 3.0, 9.0)
ERROR_WAITS_S: Final = (1.0, 2.0, 4.0, 8.0)
CALM_S: Final = 60.0
"""A connection that lasts so long ends what went wrong before it; longer than any wait."""


class UnexpectedError(GatewayError):
    """The gateway meets an error that nobody has thought of, time after time."""


class Gateway:
    """Serves one broker from one store until told to stop.

    `name` distinguishes gateways at one broker: it is part of the MQTT client id, whose session
    the broker keeps, and of the presence topic. `tls` is for ``mqtts`` alone.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock,
        address: Address,
        name: str,
        stopping: threading.Event,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._store = store
        self._clock = clock
        self._address = address
        self._name = name
        self._stopping = stopping
        self._tls = tls
        self._debts = Debts()
        self._counts: Counter[str] = Counter()
        self._losses = _Patience(WAITS_S, for_ever=True)
        self._rivals = _Patience(RIVAL_WAITS_S)
        self._errors = _Patience(ERROR_WAITS_S)
        self._has_begun = False
        self._has_been_online = False
        self._start_until = 0.0
        self._warned = False

    def run(self) -> None:
        """Serve until told to stop.

        Raises:
            BrokerError: the broker could not be reached or refused at the start, or another
                gateway has the name.
            ClockError: there is no usable time.
            UnexpectedError: an error that nobody has thought of came again and again.
        """
        self._start_until = time.monotonic() + START_LIMIT_S
        while not self._stopping.is_set():
            began = time.monotonic()
            wait = self._serve()
            if time.monotonic() - began > CALM_S:
                for patience in (self._losses, self._rivals, self._errors):
                    patience.restore()
            self._stopping.wait(wait)
        log.info("stopped")

    def _serve(self) -> float:
        """Serve one connection; return how long to wait before the next, in seconds."""
        presence = presence_topic(self._name)
        client_id = f"coldtrail-gateway-{self._name}"
        try:
            with Connection(self._address, self._tls, client_id, presence) as connection:
                session = Session(
                    connection, self._store, self._clock, self._name, self._debts, self._counts
                )
                session.begin()
                self._has_begun = True
                log.info("broker %s: connected", self._address)
                self._warn_of_size(connection)
                try:
                    session.serve(self._stopping)
                finally:
                    self._has_been_online |= session.is_online
                    self._say_counts()
        except TakenOver:
            return self._after_rival()
        except ConnectionLost as lost:
            return self._after_loss(lost)
        except GatewayError:
            raise
        except Exception as error:
            log.exception("unexpected error")
            return self._after_error(error)
        return 0.0

    def _after_rival(self) -> float:
        self._counts["connections taken over"] += 1
        wait = self._rivals.next()
        problem = (
            f"Another gateway uses the name {self._name!r} at the broker {self._address}, "
            "and each throws the other out"
        )
        if wait is None:
            raise BrokerError(f"{problem}: give one of them another name with --name.")
        log.warning("%s; trying again in %g s", problem, wait)
        return wait

    def _after_loss(self, lost: ConnectionLost) -> float:
        self._counts["connections lost"] += 1
        problem = f"The broker at {self._address} cannot be used ({lost})"
        if isinstance(lost, Rejected) and not self._has_been_online:
            raise BrokerError(f"{problem}: change that, or name another with --broker.")
        if not self._has_begun and time.monotonic() > self._start_until:
            raise BrokerError(f"{problem}: start it, or name the right one with --broker.")
        if self._stopping.is_set():
            return 0.0
        wait = self._losses.next() or 0.0
        log.warning("broker %s: %s; trying again", self._address, lost)
        return wait

    def _after_error(self, error: Exception) -> float:
        self._counts["unexpected errors"] += 1
        wait = self._errors.next()
        name = type(error).__name__
        if wait is None:
            raise UnexpectedError(
                f"The gateway has met an unexpected error {len(ERROR_WAITS_S) + 1} times in a row "
                f"({name}): its traceback is in the log; report it."
            ) from error
        log.warning("beginning again in %g s", wait)
        # Whatever has gone wrong in memory: begin with what the store says.
        self._debts = Debts()
        return wait

    def _warn_of_size(self, connection: Connection) -> None:
        if not connection.is_limited and not self._warned:
            self._warned = True
            log.warning(
                "broker %s: it names no limit to the size of a message, so that whoever may "
                "publish can fill its memory; set one (Mosquitto: max_packet_size %d)",
                self._address,
                MAX_PACKET,
            )

    def _say_counts(self) -> None:
        if self._counts:
            log.info(
                "since the start: %s",
                ", ".join(f"{name} {count}" for name, count in sorted(self._counts.items())),
            )


class _Patience:
    """The growing waits after one kind of trouble."""

    def __init__(self, waits_s: Sequence[float], *, for_ever: bool = False) -> None:
        self._waits_s = waits_s
        self._for_ever = for_ever
        self._used = 0

    def next(self) -> float | None:
        """Return the next wait in seconds; None when there is no more patience."""
        if self._used == len(self._waits_s):
            return self._waits_s[-1] if self._for_ever else None
        self._used += 1
        return self._waits_s[self._used - 1]

    def restore(self) -> None:
        self._used = 0
