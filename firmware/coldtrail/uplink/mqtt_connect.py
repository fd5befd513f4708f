"""Begins an MQTT connection: session and subscriptions; unloaded afterwards.

Sources as in mqtt.py.
"""

from micropython import const

from coldtrail.uplink.mqtt import MqttError, deadline_in, string, u16

_CONNECT = const(0x10)
_CONNACK = const(0x20)
_SUBSCRIBE = const(0x82)
_SUBACK = const(0x90)

_SUBSCRIBE_ID = const(1)  # nothing else is under way while it is used

_REFUSED = """unacceptable protocol version
identifier rejected
server unavailable
bad user name or password
not authorized"""  # table 3.1; one string takes less heap than five


class Refused(MqttError):
    """The broker does not want this client."""


async def connect(client, limit_ms):
    """Open a clean session.

    Raises Refused; MqttError; OSError.
    """
    deadline = deadline_in(limit_ms)
    head = b"\x00\x04MQTT\x04\x02" + client.keepalive.to_bytes(2, "big")  # clean session
    await client.send(_CONNECT, [head, string(client.client_id)], deadline)
    body = await client.expect(_CONNACK, 2, deadline)
    if body[1]:
        code = body[1]
        reasons = _REFUSED.split("\n")
        reason = reasons[code - 1] if code <= len(reasons) else "code %d" % code
        raise Refused("refused: " + reason)
    if body[0]:
        raise MqttError("a clean session has nothing to resume")  # 3.2.2.2


async def subscribe(client, topics, limit_ms):
    """Subscribe to ``topics``: (topic, at most this QoS, 0 or 1) of each, in one packet.

    So a message that is retained comes behind the answer, when this module is given back. Raises
    MqttError when the broker refuses; OSError.
    """
    deadline = deadline_in(limit_ms)
    fields = [_SUBSCRIBE_ID.to_bytes(2, "big")]
    for topic, qos in topics:
        fields += [string(topic), bytes((qos,))]
    await client.send(_SUBSCRIBE, fields, deadline)
    body = await client.expect(_SUBACK, 2 + len(topics), deadline)
    refused = u16(body, 0) != _SUBSCRIBE_ID
    for place, (_, qos) in enumerate(topics):
        refused = refused or body[2 + place] > qos
    if refused:
        raise MqttError("subscription refused")
