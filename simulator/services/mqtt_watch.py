"""An MQTT client that watches the messages of the gateway."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from coldtrail_simulator.network.contract import COMMAND, CONFIRMATION, topic
from coldtrail_simulator.services.process import ServiceError

START_LIMIT_S = 300.0  # only for a hang: a busy host takes half a minute

CONFIRMATIONS = topic("+", CONFIRMATION)
COMMANDS = topic("+", COMMAND)
PRESENCE = topic("gateway", "+")
MARKER = topic("watch", "marker")


class MqttWatch:
    """An MQTT client that tracks retained messages and the presence of gateways."""

    def __init__(self, host: str, port: int) -> None:
        self._address = host, port
        self._changed = threading.Condition()
        self._retained: dict[str, bytes | bytearray] = {}
        self._seen: Counter[str] = Counter()
        self._online: Counter[str] = Counter()
        self._client: mqtt.Client | None = None

    def start(self, limit_s: float = START_LIMIT_S) -> None:
        """Connect, and return when all retained messages have been received, within ``limit_s``.

        Raises:
            ServiceError: the broker refuses or does not answer.
        """
        client = mqtt.Client(CallbackAPIVersion.VERSION2)
        client.on_connect = lambda client, *_: client.subscribe(
            [(CONFIRMATIONS, 1), (COMMANDS, 1), (PRESENCE, 1), (MARKER, 1)]
        )
        client.on_subscribe = lambda client, *_: client.publish(MARKER, b"", qos=1)
        client.on_message = self._take
        markers = self._seen[MARKER]
        host, port = self._address
        try:
            client.connect(host, port)
        except OSError as error:
            raise ServiceError(
                f"The broker at {host}:{port} cannot be reached ({error}); is it running?"
            ) from error
        self._client = client
        client.loop_start()
        # A broker sends its retained messages to a subscriber before later publications.
        if not self._wait(lambda: self._seen[MARKER] > markers, limit_s):
            self.stop()
            raise ServiceError(
                f"The broker at {host}:{port} did not accept a subscription within "
                f"{limit_s:.0f} s; check that it allows anonymous clients."
            )

    def stop(self) -> None:
        """Disconnect and forget the retained messages."""
        if self._client:
            self._client.disconnect()
            self._client.loop_stop()
            self._client = None
        self._retained.clear()

    def _take(self, _client: mqtt.Client, _data: object, message: mqtt.MQTTMessage) -> None:
        name = message.topic
        with self._changed:
            self._seen[name] += 1
            if name != MARKER:
                self._retained[name] = message.payload
            if mqtt.topic_matches_sub(PRESENCE, name):
                self._online[message.payload.decode(errors="replace")] += 1
            self._changed.notify_all()

    def _wait(self, condition: Callable[[], bool], limit_s: float) -> bool:
        with self._changed:
            return self._changed.wait_for(condition, limit_s)

    def retained(self, topic_filter: str) -> list[str]:
        """Return the topics that match and have a retained message."""
        with self._changed:
            return [
                topic
                for topic, payload in self._retained.items()
                if payload and mqtt.topic_matches_sub(topic_filter, topic)
            ]

    def payload(self, topic: str) -> bytes:
        """Return the retained message of a topic, b"" without one."""
        with self._changed:
            return bytes(self._retained.get(topic, b""))

    def retain(self, topic: str, payload: bytes) -> None:
        """Retain a message at the broker, as any client may."""
        if self._client:
            self._client.publish(topic, payload, qos=1, retain=True)

    def seen(self, topic: str) -> int:
        """Return how many messages were received on a topic."""
        with self._changed:
            return self._seen[topic]

    def wait_seen(self, topic: str, more_than: int, limit_s: float) -> bool:
        """Wait until more than ``more_than`` messages were received on a topic."""
        return self._wait(lambda: self._seen[topic] > more_than, limit_s)

    def presences(self, state: str) -> int:
        """Return how often a gateway has reported the state ``online`` or ``offline``."""
        with self._changed:
            return self._online[state]

    def wait_presence(self, state: str, more_than: int, limit_s: float) -> bool:
        """Wait until a gateway has reported a state more than ``more_than`` times."""
        return self._wait(lambda: self._online[state] > more_than, limit_s)
