"""An independent MQTT client of a broker."""

from collections.abc import Callable

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from tests.support.host import until


class Peer:
    """Subscribes to ``topics`` at QoS 1 and stores the received messages."""

    def __init__(self, port: int, *topics: str) -> None:
        self.received: list[tuple[str, bytes]] = []
        self.client = paho.Client(CallbackAPIVersion.VERSION2)
        self._actions: dict[str, Callable[[], object]] = {}
        subscribed: list[int] = []
        self.client.on_subscribe = lambda *_: subscribed.append(1)
        self.client.on_message = self._take
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()
        for topic in topics:
            self.client.subscribe(topic, 1)
        until(lambda: len(subscribed) == len(topics))

    def on(self, topic: str, action: Callable[[], object]) -> None:
        """Call ``action`` for every message on ``topic``."""
        self._actions[topic] = action

    def _take(self, _client: object, _data: object, message: paho.MQTTMessage) -> None:
        self.received.append((message.topic, bytes(message.payload)))
        self._actions.get(message.topic, lambda: None)()

    def publish(self, topic: str, payload: bytes, qos: int = 1) -> None:
        """Pass a message to the client, which sends it as soon as possible."""
        self.client.publish(topic, payload, qos)

    def close(self) -> None:
        """Disconnect."""
        self.client.disconnect()
        self.client.loop_stop()
