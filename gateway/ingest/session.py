"""What is done on one connection: catch up with the broker, say ``online``, take in and confirm.

One thread does everything, so that the order on the connection is the order of the code: commit,
publish the confirmation, acknowledge. Whatever ends the connection in between, the broker delivers
the unacknowledged message again, and the archive recognises it.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

from paho.mqtt.client import MQTTMessage

from coldtrail_gateway.clock import Clock
from coldtrail_gateway.contract.envelope import Refused
from coldtrail_gateway.ingest import intake
from coldtrail_gateway.ingest.connection import Connection, Rejected
from coldtrail_gateway.ingest.downlink import Downlink
from coldtrail_gateway.ingest.intake import Arrival, Judged, Kept
from coldtrail_gateway.store.archive import Authentic
from coldtrail_gateway.store.database import Store, StoreError

log = logging.getLogger("coldtrail.gateway")

ROOT: Final = "coldtrail/1"
UPLINKS: Final = f"{ROOT}/+/up"
WAITS_S: Final = (0.2, 0.5, 1.0, 2.0, 5.0)
"""Between trials of what may fail for as long as it likes."""

_OWN: Final = "gateway-"  # no tracker id has small letters
_POLL_S: Final = 0.5
_SILENCE_S: Final = 10.0
_BATCH: Final = 256
_MAX_PENDING: Final = 512
_JUNK: Final = 200
_JUNK_EVERY_S: Final = 1.0
_GOODBYE_S: Final = 1.0


@dataclass(slots=True)
class Debts:
    """The trackers whose retained confirmation may be another than the store's.

    Outlasts a connection; only what the broker says it has taken is no longer owed.
    """

    everybody: bool = True
    trackers: dict[str, None] = field(default_factory=dict)


class Session:
    """Serves one connection from one store."""

    def __init__(
        self,
        connection: Connection,
        store: Store,
        clock: Clock,
        name: str,
        debts: Debts,
        counts: Counter[str],
    ) -> None:
        self._connection = connection
        self._store = store
        self._clock = clock
        self._presence = presence_topic(name)
        # Queued behind the backlog, because it matches the same subscription as the trackers.
        self._marker_topic = f"{ROOT}/{_OWN}{name}/up"
        self._trial_topic = f"{ROOT}/{_OWN}{name}/confirmation"
        self._marker = secrets.token_bytes(8)
        self._marker_number = 0
        self._downlink = Downlink(store, clock, self._publish_command)
        self._debts = debts
        self._counts = counts
        self._to_pay: dict[str, None] | None = None  # not known before the backlog is dealt with
        self._being_paid: dict[int, str] = {}
        self._pending: deque[MQTTMessage] = deque()
        self._junk: deque[Judged] = deque(maxlen=_JUNK)
        self._junk_due_at = 0.0
        self._unkept = 0
        self._caught_up = False
        self._commands_told = False
        self._heard_at = 0.0
        self._failures = 0
        self._retry_at = 0.0
        self.is_online = False

    def begin(self) -> None:
        """Connect, and find out whether the broker lets the gateway do what it must.

        Raises:
            ConnectionLost: it does not; the text says what is wrong.
        """
        session_present = self._connection.open()
        if not session_present:
            # The broker may have lost what it retained.
            self._debts.everybody = True
        # QoS 0 for what is said again when in doubt: on one connection the broker takes it in
        # before the acknowledgement that follows, and paho holds nothing back to send it late.
        self._connection.publish(self._presence, b"offline")
        self._connection.try_out(self._trial_topic)
        self._connection.subscribe(UPLINKS)
        self._marker_number = self._connection.publish(
            self._marker_topic, self._marker, qos=1, retain=False
        )
        self._heard_at = time.monotonic()

    def serve(self, stopping: threading.Event) -> None:
        """Take in and confirm until told to stop; then take leave.

        Raises:
            ConnectionLost: the connection has ended.
            ClockError: there is no usable time.
        """
        while not stopping.is_set():
            self._receive()
            self._work()
        self._connection.publish(self._presence, b"offline")
        self._connection.say_goodbye(_GOODBYE_S)

    def _receive(self) -> None:
        """Wait for messages, and collect those that are there already."""
        busy = self._pending or (self._to_pay and self._connection.room)
        wait = 0.0 if busy and not self._failures else _POLL_S
        while True:
            messages = self._connection.receive(wait)
            self._pending.extend(messages)
            # While nothing can be committed, the broker stops by itself at what is unacknowledged;
            # of QoS 0 nothing is.
            while len(self._pending) > _MAX_PENDING and not self._pending[-1].qos:
                self._pending.pop()
            if not messages or len(self._pending) >= _MAX_PENDING:
                break
            wait = 0.0
        self._check_refusals()
        self._check_that_it_hears()

    def _check_refusals(self) -> None:
        for number, complaint in self._connection.refused().items():
            if number == self._marker_number:
                raise Rejected(complaint)
            # Of one tracker; it is still owed, and must not hold up the others.
            self._counts["messages that the broker refused"] += 1
            self._being_paid.pop(number, None)
            log.error("broker: %s; let the gateway write there", complaint)

    def _check_that_it_hears(self) -> None:
        # A broker may accept a subscription and deliver nothing of what it covers.
        now = time.monotonic()
        if self._caught_up or self._pending:
            self._heard_at = now
        elif now - self._heard_at > _SILENCE_S:
            raise Rejected(
                f"it has accepted the subscription to {UPLINKS}, and has not delivered the "
                f"gateway's own message on {self._marker_topic} within {_SILENCE_S:.0f} s; "
                "the gateway must be allowed to read and write there"
            )

    def _work(self) -> None:
        """Commit what is pending; where the store fails, leave it pending and try later."""
        if time.monotonic() < self._retry_at:
            return
        try:
            if self._failures:
                self._store.settle()
            if self._pending:
                self._take(list(self._pending))
            self._put_aside()
            if self._caught_up:
                self._pay_debts()
            if self.is_online:
                self._downlink.poll()
            elif self._caught_up and not self._to_pay:
                self._come_online()
        except StoreError as error:
            if not self._failures:
                log.critical("%s Nothing is confirmed until then.", error)
            wait = WAITS_S[min(self._failures, len(WAITS_S) - 1)]
            self._failures += 1
            self._retry_at = time.monotonic() + wait
            return
        if self._failures:
            self._failures = 0
            log.info("the database works again")

    def _take(self, messages: list[MQTTMessage]) -> None:
        """Keep and confirm what verifies; remember the rest for the quarantine.

        So that forged messages cost a tracker's no more than the time to look at them.
        """
        arrivals = [Arrival(_addressee(message), bytes(message.payload)) for message in messages]
        owed = {a.tracker for a, m in zip(arrivals, messages, strict=True) if not m.qos}
        trackers = [arrival for arrival in arrivals if not arrival.tracker.startswith(_OWN)]
        good: list[Judged] = []
        junk: list[Judged] = []
        for judged in intake.judge(self._store, trackers):
            (good if isinstance(judged.verdict, Authentic) else junk).append(judged)
        self._keep(good, owed)
        for judged in junk:
            self._unkept += len(self._junk) == _JUNK
            self._junk.append(judged)
        for message, arrival in zip(messages, arrivals, strict=True):
            if arrival.tracker.startswith(_OWN) and arrival.sealed == self._marker:
                self._caught_up = True
            self._pending.popleft()
            # In the order in which they came, as MQTT wants it.
            self._connection.acknowledge(message)
        self._connection.flush()

    def _keep(self, judged: list[Judged], owed: set[str]) -> None:
        """Commit and confirm; of QoS 0 the broker delivers nothing again, so that is owed."""
        if not judged:
            return
        outcomes = intake.keep(self._store, judged, self._clock.now_ms())
        if any(isinstance(outcome, Kept) and outcome.told for outcome in outcomes):
            # Before the confirmation: when the tracker has that, it has the next command too.
            self._downlink.update()
        for each, outcome in zip(judged, outcomes, strict=True):
            self._answer(each.arrival, outcome, owed)

    def _put_aside(self) -> None:
        """Put what does not verify into the quarantine, no more than the budget of a second."""
        now = time.monotonic()
        if not self._junk or now < self._junk_due_at:
            return
        self._junk_due_at = now + _JUNK_EVERY_S
        self._keep(list(self._junk), set())
        self._junk.clear()
        if self._unkept:
            self._counts["refused and not put aside"] += self._unkept
            log.warning(
                "%d more messages do not verify; not put aside, only counted", self._unkept
            )
            self._unkept = 0

    def _answer(self, arrival: Arrival, outcome: Kept | Refused, owed: set[str]) -> None:
        if isinstance(outcome, Refused):
            self._counts["quarantined"] += 1
            log.warning("%.40a: quarantined, %s", arrival.tracker, outcome)
            return
        self._counts["kept" if outcome.new else "kept already"] += 1
        if outcome.document is not None:
            if arrival.tracker in owed:
                self._owe(arrival.tracker)
            else:
                self._publish_confirmation(arrival.tracker, outcome.document)
        name = f"block {outcome.number}" if outcome.number else "a block of unknown form"
        log.info("%s: %s %s", arrival.tracker, name, "kept" if outcome.new else "kept already")

    # --- what is retained ---

    def _owe(self, tracker: str) -> None:
        self._debts.trackers[tracker] = None
        if self._to_pay is not None:
            self._to_pay[tracker] = None

    def _pay_debts(self) -> None:
        """Publish as many of the confirmations that are owed as the connection can take."""
        if self._to_pay is None:
            self._to_pay = self._collect_debts()
        for number in self._connection.taken():
            tracker = self._being_paid.pop(number, None)
            again = tracker in self._to_pay or tracker in self._being_paid.values()
            if tracker is not None and not again:
                self._debts.trackers.pop(tracker, None)
        trackers = list(islice(self._to_pay, self._connection.room))
        if not trackers:
            return
        documents = intake.documents(self._store, trackers, self._clock.now_ms())
        # What was read here may be another's, and not yet where it must be.
        self._store.settle()
        for tracker in trackers:
            del self._to_pay[tracker]
        for tracker, document in documents.items():
            self._being_paid[self._publish_confirmation(tracker, document, qos=1)] = tracker
        self._counts["confirmations published again"] += len(documents)
        self._connection.flush()

    def _collect_debts(self) -> dict[str, None]:
        if self._debts.everybody:
            with self._store.read() as tables:
                heard = [known.id for known in tables.registry.trackers() if known.chain]
            self._debts.trackers = dict.fromkeys(heard)
            self._debts.everybody = False
        if self._debts.trackers:
            log.info("confirmations to publish again: %d", len(self._debts.trackers))
        return dict(self._debts.trackers)

    def _come_online(self) -> None:
        """Say so when the broker has taken every confirmation and every command."""
        if not self._commands_told:
            self._downlink.forget()
            self._downlink.update()
            self._commands_told = True
        if self._connection.is_settled:
            self._connection.publish(self._presence, b"online")
            self._connection.flush()
            self.is_online = True
            log.info("online")

    def _publish_confirmation(self, tracker: str, document: bytes, *, qos: int = 0) -> int:
        return self._connection.publish(f"{ROOT}/{tracker}/confirmation", document, qos=qos)

    def _publish_command(self, tracker: str, message: bytes) -> None:
        # What a subscriber gets has at most the quality of service of its publication.
        self._connection.publish(f"{ROOT}/{tracker}/command", message, qos=1)


def presence_topic(name: str) -> str:
    """Return where the gateway of this name says whether it is there."""
    return f"{ROOT}/gateway/{name}"


def _addressee(message: MQTTMessage) -> str:
    """Return what a topic of `UPLINKS` has in the place of the tracker id."""
    try:
        return message.topic.split("/")[2]
    except UnicodeDecodeError:
        return ""
