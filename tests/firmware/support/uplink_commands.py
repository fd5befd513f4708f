"""Commands over the firmware's uplink modules, the same on CPython and on MicroPython.

As a program on MicroPython it answers one JSON line with one JSON line. Values go as JSON allows,
but bytes, texts and maps, which become {"b": hex}, {"t": hex of UTF-8}, {"m": [[key, value], …]}.
"""

import json
import sys
from binascii import hexlify, unhexlify

from coldtrail.contract import block, cbor, confirmation, cose
from coldtrail.contract.mac0 import Mac0


def pack(value):
    """Return what JSON can carry."""
    if isinstance(value, (bytes, bytearray)):
        return {"b": hexlify(value).decode()}
    if isinstance(value, str):
        return {"t": hexlify(value.encode()).decode()}
    if isinstance(value, (list, tuple)):
        return [pack(element) for element in value]
    if isinstance(value, dict):
        return {"m": [[key, pack(value[key])] for key in sorted(value)]}
    return value


def unpack(value):
    """Return what `pack` was given."""
    if isinstance(value, list):
        return [unpack(element) for element in value]
    if isinstance(value, dict):
        if "b" in value:
            return unhexlify(value["b"])
        if "t" in value:
            return unhexlify(value["t"]).decode()
        return {key: unpack(element) for key, element in value["m"]}
    return value


def seal_all(first, records, optional, key, kid, tracker_id):
    """Return the sealed blocks of a history, as the tracker makes them one after the other.

    first: the builder's arguments for block 1. records: [type, payload]. optional: [sync, urgent].
    """
    chain, number, previous, boot, sequence, interval, shipment = first
    builder = block.Builder(*first)
    sealed = []
    for kind, payload in records:
        if not builder.add(kind, memoryview(payload)):
            sealed.append(finish(builder, optional, key, kid, tracker_id))
            number += 1
            previous = cose.digest(sealed[-1])
            builder = block.Builder(chain, number, previous, boot, sequence, interval, shipment)
            if not builder.add(kind, payload):
                raise RuntimeError("a record does not fit an empty block")
        sequence += 1
    sealed.append(finish(builder, optional, key, kid, tracker_id))
    return sealed


def finish(builder, optional, key, kid, tracker_id):
    """Seal one block."""
    builder.sync, builder.urgent = optional
    sealed = builder.seal(key, kid, tracker_id)
    if builder.seal(key, kid, tracker_id) != sealed:
        raise RuntimeError("sealing again gives other bytes")
    return sealed


def open_mac0(message, keys, content_type, direction, tracker_id):
    """`keys`: [[version, key], …]."""
    return cose.open_mac0(message, dict(keys).get, content_type, direction, tracker_id)


def mac0(key, kid, content_type, direction, tracker_id, payload):
    """Return the tagged COSE_Mac0 over `payload`, a bytearray."""
    message = Mac0(kid, content_type, len(payload))
    message.raw(payload)
    return message.seal(key, direction, tracker_id)


COMMANDS = {
    "encode": cbor.encode,
    "decode": cbor.decode,
    "hmac": lambda key, parts: cose.hmac_sha256(key, *parts),
    "mac0": mac0,
    "open_mac0": open_mac0,
    "digest": cose.digest,
    "seal_all": seal_all,
    "confirmation": confirmation.parse,
}


def run(command, arguments):
    """Return ["ok", result] or ["refused", reason]; any other error is one of the firmware."""
    try:
        return ["ok", COMMANDS[command](*arguments)]
    except ValueError as error:
        return ["refused", str(error)]


def serve():
    """Answer requests until the input ends."""
    while True:
        line = sys.stdin.readline()
        if not line:
            return
        command, arguments = json.loads(line)
        sys.stdout.write(json.dumps(pack(run(command, unpack(arguments)))) + "\n")


if sys.implementation.name == "micropython":
    serve()
