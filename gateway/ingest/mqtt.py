"""MQTT in and out: takes blocks in, answers with confirmations, says when it is there.

One thread does everything, so that the order on the connection is the order of the code: commit,
publish the confirmation, acknowledge. Whatever ends the process in between, the broker delivers
the unacknowledged message again, and the archive recognises it.
"""

from __future__ import annotations

import logging
import secrets
import socket
import time
from collections import deque
from itertools import chain, islice, repeat
from typing import Any, Final

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.reasoncodes import ReasonCode

from coldtrail_gateway.clock import Clock
from coldtrail_gateway.contract.envelope import Refused
from coldtrail_gateway.ingest import intake
from coldtrail_gateway.ingest.broker import Address, BrokerError
from coldtrail_gateway.ingest.downlink import Downlink
from coldtrail_gateway.ingest.intake import Arrival, Kept
from coldtrail_gateway.store.database import Store, StoreError

log = logging.getLogger("coldtrail.gateway")

ROOT: Final = "coldtrail/1"
UPLINKS: Final = f"{ROOT}/+/up"
_MARKER_PREFIX: Final = "gateway-"  # no tracker id has small letters

_KEEPALIVE_S: Final = 30
_START_LIMIT_S: Final = 10.0
_CONNECT_LIMIT_S: Final = 5.0
_POLL_S: Final = 0.5
_BACK_OFF_S: Final = (0.2, 0.5, 1.0, 2.0, 5.0)
_BATCH: Final = 256
_MAX_PENDING: Final = 4096
_GOODBYE_S: Final = 2.0


class Gateway:
    """Serves one broker from one store until told to stop.

    `name` distinguishes gateways at one broker: it is part of the MQTT client id, whose session
    the broker keeps, and of the presence topic.
    """

    def __init__(self, store: Store, clock: Clock, address: Address, name: str) -> None:
        self._store = store
        self._clock = clock
        self._address = address
        self._presence = f"{ROOT}/gateway/{name}"
        # Queued behind the backlog, because it matches the same subscription as the trackers.
        self._marker_topic = f"{ROOT}/{_MARKER_PREFIX}{name}/up"
        self._marker = b""
        self._downlink = Downlink(store, clock, self._publish_command)
        self._pending: deque[mqtt.MQTTMessage] = deque()
        self._stopping = False
        self._connected = False
        self._caught_up = False
        self._online = False
        self._republish = True
        self._refusal = ""
        self._failures = 0
        self._retry_at = 0.0
        self._client = self._new_client(f"coldtrail-gateway-{name}")

    def stop(self) -> None:
        """End `run` soon; may be called from a signal handler."""
        self._stopping = True

    def run(self) -> None:
        """Serve until `stop`.

        Raises:
            BrokerError: the broker could not be reached or refused at the start.
            ClockError: there is no usable time.
        """
        self._start()
        while not self._stopping:
            if not self._connected:
                self._reconnect()
                continue
            self._receive()
            self._work()
        self._say_goodbye()

    # --- connection ---

    def _new_client(self, client_id: str) -> mqtt.Client:
        client = mqtt.Client(
            CallbackAPIVersion.VERSION2,
            client_id=client_id,
            clean_session=False,
            manual_ack=True,
        )
        client.connect_timeout = _CONNECT_LIMIT_S
        if self._address.username is not None:
            client.username_pw_set(self._address.username, self._address.password)
        if self._address.scheme == "mqtts":
            client.tls_set()
        client.will_set(self._presence, b"offline", qos=1, retain=True)
        client.on_socket_open = _send_at_once
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_message = self._on_message
        return client

    def _start(self) -> None:
        deadline = time.monotonic() + _START_LIMIT_S
        while not self._stopping:
            reason = self._connect()
            if self._connected:
                return
            if self._refusal or time.monotonic() > deadline:
                raise BrokerError(
                    f"The broker at {self._address} cannot be used ({reason}): start it, "
                    "or name the right one with --broker."
                )
            time.sleep(_BACK_OFF_S[0])

    def _reconnect(self) -> None:
        for wait in chain(_BACK_OFF_S, repeat(_BACK_OFF_S[-1])):
            until = time.monotonic() + wait
            while time.monotonic() < until and not self._stopping:
                time.sleep(0.05)
            if self._stopping:
                return
            reason = self._connect()
            if self._connected:
                return
            log.warning("broker %s: %s; trying again", self._address, reason)

    def _connect(self) -> str:
        """Try once, up to the broker's answer; return why it failed."""
        self._refusal = ""
        try:
            self._client.connect(self._address.host, self._address.port, _KEEPALIVE_S)
            code = self._await_answer()
        except OSError as error:
            return error.strerror or str(error)
        if self._refusal:
            return self._refusal
        return "no answer" if code == MQTTErrorCode.MQTT_ERR_SUCCESS else mqtt.error_string(code)

    def _await_answer(self) -> MQTTErrorCode:
        deadline = time.monotonic() + _CONNECT_LIMIT_S
        code = MQTTErrorCode.MQTT_ERR_SUCCESS
        while code == MQTTErrorCode.MQTT_ERR_SUCCESS and time.monotonic() < deadline:
            if self._connected or self._refusal:
                break
            code = self._client.loop(0.1)
        return code

    def _on_connect(
        self, client: mqtt.Client, _data: Any, flags: Any, code: ReasonCode, _properties: Any
    ) -> None:
        if code.is_failure:
            self._refusal = str(code)
            return
        log.info("broker %s: connected", self._address)
        self._connected = True
        self._caught_up = False
        self._online = False
        self._republish = self._republish or not flags.session_present
        self._marker = secrets.token_bytes(8)
        # QoS 0 throughout for what the gateway publishes: on one connection the broker takes it
        # in before the acknowledgement that follows, and paho holds nothing back to send it late.
        client.publish(self._presence, b"offline", retain=True)
        client.subscribe(UPLINKS, qos=1)
        client.publish(self._marker_topic, self._marker, qos=1)

    def _on_disconnect(
        self, _client: mqtt.Client, _data: Any, _flags: Any, code: ReasonCode, _properties: Any
    ) -> None:
        self._connected = False
        # Unacknowledged: the broker delivers them again.
        self._pending.clear()
        if not self._stopping and not self._refusal:
            log.warning("broker %s: connection lost (%s)", self._address, code)

    def _say_goodbye(self) -> None:
        if self._connected:
            self._client.publish(self._presence, b"offline", retain=True)
            self._client.disconnect()
            deadline = time.monotonic() + _GOODBYE_S
            while self._client.want_write() and time.monotonic() < deadline:
                self._client.loop_write()
        log.info("stopped")

    # --- messages ---

    def _on_message(self, _client: mqtt.Client, _data: Any, message: mqtt.MQTTMessage) -> None:
        # The broker stops by itself at what is unacknowledged, but not where nothing needs to be.
        if message.qos or len(self._pending) < _MAX_PENDING:
            self._pending.append(message)

    def _receive(self) -> None:
        """Wait for messages, and collect those that are there already."""
        wait = 0.0 if self._pending and not self._failures else _POLL_S
        while True:
            before = len(self._pending)
            code = self._client.loop(wait)
            if code != MQTTErrorCode.MQTT_ERR_SUCCESS:
                self._connected = False
            if not self._connected or len(self._pending) == before or before >= _BATCH:
                return
            wait = 0.0

    def _work(self) -> None:
        """Commit what is pending; where the store fails, leave it pending and try later."""
        if time.monotonic() < self._retry_at:
            return
        try:
            while self._pending and self._connected:
                self._take(list(islice(self._pending, _BATCH)))
            if self._connected and self._caught_up and not self._online:
                self._announce()
            if self._connected and self._online:
                self._downlink.poll()
        except StoreError as error:
            if not self._failures:
                log.critical("%s Nothing is confirmed until then.", error)
            wait = _BACK_OFF_S[min(self._failures, len(_BACK_OFF_S) - 1)]
            self._failures += 1
            self._retry_at = time.monotonic() + wait
            return
        if self._failures:
            self._failures = 0
            log.info("the database works again")

    def _take(self, batch: list[mqtt.MQTTMessage]) -> None:
        arrivals = []
        for message in batch:
            tracker = _addressee(message)
            if not tracker.startswith(_MARKER_PREFIX):
                arrivals.append(Arrival(tracker, bytes(message.payload)))
            elif message.payload == self._marker:
                self._caught_up = True
        if arrivals:
            outcomes = intake.take(self._store, arrivals, self._clock.now_ms())
            if any(isinstance(outcome, Kept) and outcome.told for outcome in outcomes):
                # Before the confirmation: when the tracker has that, it has the next command too.
                self._downlink.update()
            for arrival, outcome in zip(arrivals, outcomes, strict=True):
                self._answer(arrival, outcome)
        for message in batch:
            self._pending.popleft()
            self._client.ack(message.mid, message.qos)

    def _answer(self, arrival: Arrival, outcome: Kept | Refused) -> None:
        if isinstance(outcome, Refused):
            log.warning("%.40a: quarantined, %s", arrival.tracker, outcome)
            return
        if outcome.document is not None:
            self._publish_confirmation(arrival.tracker, outcome.document)
        name = f"block {outcome.number}" if outcome.number else "a block of unknown form"
        log.info("%s: %s %s", arrival.tracker, name, "kept" if outcome.new else "kept already")

    def _announce(self) -> None:
        """Say that the backlog is dealt with and that every confirmation is the current one."""
        if self._republish:
            # The broker may have lost what it retained.
            documents = intake.documents(self._store, self._clock.now_ms())
            for tracker, document in documents.items():
                self._publish_confirmation(tracker, document)
            log.info("confirmations published again: %d", len(documents))
            self._republish = False
        self._downlink.forget()
        self._downlink.update()
        self._client.publish(self._presence, b"online", retain=True)
        self._online = True
        log.info("online")

    def _publish_confirmation(self, tracker: str, document: bytes) -> None:
        self._client.publish(f"{ROOT}/{tracker}/confirmation", document, retain=True)

    def _publish_command(self, tracker: str, message: bytes) -> None:
        # What a subscriber gets has at most the quality of service of its publication.
        self._client.publish(f"{ROOT}/{tracker}/command", message, qos=1, retain=True)


def _send_at_once(_client: mqtt.Client, _data: Any, opened: Any) -> None:
    """Keep the small packets of an answer from waiting for each other's acknowledgement."""
    opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _addressee(message: mqtt.MQTTMessage) -> str:
    """Return what a topic of `UPLINKS` has in the place of the tracker id."""
    try:
        return message.topic.split("/")[2]
    except UnicodeDecodeError:
        return ""
