"""One connection to the broker, from CONNECT to its end.

paho calls back from within other calls to it: a write may find that the connection is gone. So
the callbacks only note what has happened, and nothing is written outside `receive` and `flush`;
what ends the connection is an exception of these two. Each connection has a client of its own, so
that nothing of one reaches into the next.
"""

from __future__ import annotations

import fcntl
import socket
import ssl
import struct
import termios
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Final, Self

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, LogLevel, MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from coldtrail_gateway.ingest.broker import MAX_PACKET, Address

ANSWER_S: Final = 5.0
"""How long each answer of the broker is waited for."""

_KEEPALIVE_S: Final = 30
_FOR_EVER: Final = 0xFFFFFFFF  # the broker keeps the session until the gateway is back
_RECEIVE_MAXIMUM: Final = 1000  # with MAX_PACKET a bound on what is held of unread messages
_WINDOW: Final = 20  # paho's and Mosquitto's limit to what is unanswered of QoS 1
_BUFFER: Final = 65_536
_MAX_UNFINISHED: Final = 262_144  # no message is so long, nor what the buffer holds
_TAKEN_OVER: Final = 0x8E
# Protocol version, client id, password, authorisation, ban, method; of other reasons, such as a
# broker that shuts down or is busy, the next trial may know nothing any more.
_LASTING: Final = frozenset((0x84, 0x85, 0x86, 0x87, 0x8A, 0x8C))


class ConnectionLost(Exception):
    """The connection has ended, or could not be made; the text says why."""


class Rejected(ConnectionLost):
    """The broker does not let the gateway do what it must; the text says what."""


class TakenOver(ConnectionLost):
    """Another client has connected under this client id."""


class Connection:
    """A connection of a persistent session; a context manager that hangs up at its end.

    Hanging up without `say_goodbye` leaves it to the broker to publish the will, which is
    ``offline`` on the topic `presence`.
    """

    def __init__(
        self, address: Address, tls: ssl.SSLContext | None, client_id: str, presence: str
    ) -> None:
        self._address = address
        self._inbox: deque[mqtt.MQTTMessage] = deque()
        self._unconfirmed: dict[int, str] = {}
        self._taken: list[int] = []
        self._refused: dict[int, str] = {}
        self._connack: list[bool] = []
        self._suback: list[ReasonCode] = []
        self._window = _WINDOW
        self._limits: Properties | None = None
        self._end: ConnectionLost | None = None
        self._complaint = ""
        self._callbacks = 0
        self._unfinished = 0
        # The embedded broker knows no MQTT 5; it has its limits from us.
        self._version5 = address.scheme != "embedded"
        self._client = self._new_client(client_id)
        if tls is not None:
            self._client.tls_set_context(tls)
        self._client.will_set(presence, b"offline", qos=1, retain=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if (opened := self._client.socket()) is not None:
            opened.close()

    def _new_client(self, client_id: str) -> mqtt.Client:
        client = mqtt.Client(
            CallbackAPIVersion.VERSION2,
            client_id=client_id,
            clean_session=None if self._version5 else False,
            protocol=mqtt.MQTTv5 if self._version5 else mqtt.MQTTv311,
            manual_ack=True,
            reconnect_on_failure=False,
        )
        client.connect_timeout = ANSWER_S
        if self._address.username is not None:
            client.username_pw_set(self._address.username, self._address.password)
        client.on_socket_open = _set_up
        client.on_socket_register_write = _write_later
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_publish = self._on_publish
        client.on_message = self._on_message
        client.on_disconnect = self._on_disconnect
        client.on_log = self._on_log
        return client

    # --- what the gateway does ---

    def open(self) -> bool:
        """Connect; return whether the broker still has the session.

        Raises:
            Rejected: the broker refuses the client.
            ConnectionLost: it cannot be reached or does not answer.
        """
        properties = None
        if self._version5:
            properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
            properties.SessionExpiryInterval = _FOR_EVER
            properties.MaximumPacketSize = MAX_PACKET
            properties.ReceiveMaximum = _RECEIVE_MAXIMUM
        try:
            self._client.connect(
                self._address.host,
                self._address.port,
                _KEEPALIVE_S,
                clean_start=False if self._version5 else mqtt.MQTT_CLEAN_START_FIRST_ONLY,
                properties=properties,
            )
        except ssl.SSLCertVerificationError as error:
            raise Rejected(
                f"its certificate does not verify, {error.verify_message}; "
                "--ca names the authority that issued it"
            ) from error
        except OSError as error:
            raise ConnectionLost(error.strerror or str(error)) from error
        self._await(lambda: bool(self._connack), "CONNECT (in MQTT 5)")
        (session_present,) = self._connack
        self._window = min(_WINDOW, getattr(self._limits, "ReceiveMaximum", _WINDOW))
        return session_present

    @property
    def is_limited(self) -> bool:
        """Whether the broker says, as MQTT 5 lets it, how large a packet it takes from anyone."""
        return not self._version5 or hasattr(self._limits, "MaximumPacketSize")

    def subscribe(self, topics: str) -> None:
        """Subscribe with QoS 1, and wait for the answer.

        Raises:
            Rejected: the broker refuses.
            ConnectionLost: the connection has ended, or no answer has come.
        """
        self._client.subscribe(topics, qos=1)
        self._await(lambda: bool(self._suback), f"the subscription to {topics}")
        (code,) = self._suback
        if code.is_failure:
            raise Rejected(f"it refuses the subscription to {topics}, {code}")

    def publish(self, topic: str, payload: bytes, *, qos: int = 0, retain: bool = True) -> int:
        """Queue a message; return its number, which `taken` returns when QoS 1 has its answer."""
        number = self._client.publish(topic, payload, qos=qos, retain=retain).mid
        if qos:
            self._unconfirmed[number] = topic
        return number

    def try_out(self, topic: str) -> None:
        """Publish nothing on a topic, retained, and wait for the answer.

        Raises:
            Rejected: the broker refuses.
            ConnectionLost: the connection has ended, or no answer has come.
        """
        number = self.publish(topic, b"", qos=1)
        self._await(lambda: number not in self._unconfirmed, f"a message on {topic}")
        if number in self._refused:
            raise Rejected(self._refused[number])

    def acknowledge(self, message: mqtt.MQTTMessage) -> None:
        """Queue the acknowledgement of a message received on this connection."""
        self._client.ack(message.mid, message.qos)

    @property
    def room(self) -> int:
        """How many messages of QoS 1 can go out now.

        None while others wait to be written, or half of what may be unanswered is: a few more at a
        time would cost more.
        """
        free = self._window - len(self._unconfirmed)
        return free if 2 * free >= self._window and not self._client.want_write() else 0

    @property
    def is_settled(self) -> bool:
        """Whether the broker has answered every message of QoS 1."""
        return not self._unconfirmed

    def taken(self) -> list[int]:
        """Return the numbers of the messages that the broker has taken since the last call."""
        taken, self._taken = self._taken, []
        return taken

    def refused(self) -> dict[int, str]:
        """Return which messages the broker has refused since the last call, and why."""
        refused, self._refused = self._refused, {}
        return refused

    def receive(self, wait_s: float) -> list[mqtt.MQTTMessage]:
        """Write what is queued and return what has come, after at most `wait_s` seconds.

        Raises:
            TakenOver, Rejected, ConnectionLost: the connection has ended.
        """
        if not self._inbox:
            self._turn(wait_s)
        messages = list(self._inbox)
        self._inbox.clear()
        return messages

    def flush(self) -> None:
        """Write what can be written now."""
        self._client.loop_write()

    def say_goodbye(self, limit_s: float) -> None:
        """Write what is queued, and disconnect in good order, within a limit."""
        self._client.disconnect()
        deadline = time.monotonic() + limit_s
        while self._client.want_write() and time.monotonic() < deadline:
            self._client.loop_write()

    # --- what happens ---

    def _turn(self, wait_s: float) -> None:
        before = self._callbacks
        waiting = _bytes_waiting(self._client.socket())
        code = self._client.loop(wait_s)
        # A broker of MQTT 5 sends nothing longer than it is told. Of another, paho would put
        # together whatever comes: everything that was there has been read, and nothing is whole.
        self._unfinished = 0 if self._callbacks > before else self._unfinished + waiting
        if self._unfinished > _MAX_UNFINISHED:
            self._end = ConnectionLost(f"it sends a message of more than {_MAX_UNFINISHED} bytes")
        if self._end is None and code != MQTTErrorCode.MQTT_ERR_SUCCESS:
            self._end = ConnectionLost(f"connection lost, {mqtt.error_string(code)}")
        if self._end is not None:
            raise self._end

    def _await(self, is_answered: Callable[[], bool], to: str) -> None:
        deadline = time.monotonic() + ANSWER_S
        while not is_answered():
            if time.monotonic() > deadline:
                raise ConnectionLost(f"no answer to {to} within {ANSWER_S:.0f} s")
            try:
                self._turn(0.1)
            except ConnectionLost as lost:
                raise type(lost)(f"{lost}; the answer to {to} was due") from lost

    def _on_connect(
        self, _client: mqtt.Client, _data: Any, flags: Any, code: ReasonCode, limits: Any
    ) -> None:
        self._callbacks += 1
        if code.is_failure:
            self._end = _refusal(code, str(code))
            return
        self._connack = [bool(flags.session_present)]
        self._limits = limits

    def _on_subscribe(
        self, _client: mqtt.Client, _data: Any, _number: int, codes: Any, _properties: Any
    ) -> None:
        self._callbacks += 1
        self._suback = list(codes)

    def _on_publish(
        self, _client: mqtt.Client, _data: Any, number: int, code: ReasonCode, _properties: Any
    ) -> None:
        self._callbacks += 1
        topic = self._unconfirmed.pop(number, None)
        if topic is None:
            return  # of QoS 0: written
        if code.is_failure:
            self._refused[number] = f"it refuses a message on {topic}, {code}"
        else:
            self._taken.append(number)

    def _on_message(self, _client: mqtt.Client, _data: Any, message: mqtt.MQTTMessage) -> None:
        self._callbacks += 1
        self._inbox.append(message)

    def _on_disconnect(
        self, _client: mqtt.Client, _data: Any, flags: Any, code: ReasonCode, _properties: Any
    ) -> None:
        self._callbacks += 1
        if self._end is not None:
            return
        if not flags.is_disconnect_packet_from_server:
            self._end = ConnectionLost(f"connection lost{self._complaint}")
        elif code.value == _TAKEN_OVER:
            self._end = TakenOver(str(code))
        else:
            self._end = _refusal(code, f"connection lost, it says: {code}")

    def _on_log(self, _client: mqtt.Client, _data: Any, level: int, text: str) -> None:
        if level == LogLevel.MQTT_LOG_ERR:
            self._complaint = f", {text}"


def _refusal(code: ReasonCode, text: str) -> ConnectionLost:
    return Rejected(text) if code.value in _LASTING else ConnectionLost(text)


def _set_up(_client: mqtt.Client, _data: Any, opened: Any) -> None:
    # Small packets of an answer shall not wait for each other's acknowledgement.
    opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)


def _write_later(_client: mqtt.Client, _data: Any, _opened: Any) -> None:
    """Without this callback paho would write, and lose the connection, in every call."""


def _bytes_waiting(opened: Any) -> int:
    if opened is None:
        return 0
    count: int
    (count,) = struct.unpack("i", fcntl.ioctl(opened, termios.FIONREAD, bytes(4)))
    return count
