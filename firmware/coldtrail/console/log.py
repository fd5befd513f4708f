"""`log`: recent records, records by number, and the export of the sealed blocks.

An export is one line of bytes for each block that is still in the log:

    RS, body with its special bytes escaped, LF
    body: kind "h", "b" or "e", number (u32, little-endian), payload, CRC-32 of the preceding
          bytes of the body, continued from the CRC-32 of the line before, so that a missing
          line is detected

Kind ``h`` is the first line: JSON with the tracker, its chain, and the first and the next record
number. Kind ``b`` is a sealed block with its record number. Kind ``e`` is the last line, with the
number of blocks sent. Each of the bytes EOT, LF, CR, DLE and RS is sent as DLE and the byte XOR
64. Neither the line ends of a terminal nor other output of the tracker can then be confused with
data. This costs two bytes in a hundred.
"""

import asyncio
import binascii
import json
import struct

from micropython import const

from coldtrail.contract import cbor
from memory import forget

# Constants of records.py, repeated so that the compiler can inline them.
_BLOCK = const(28)
_CHECKPOINT = const(30)
_BLOCK_HEAD_SIZE = const(9)
_BLOCK_HEAD = "<IIB"

_TYPES = (
    "- sample position boot clock-sync alarm-start alarm-end configuration key-change log-gap "
    "shipment-start shipment-stop flight-mode fault shock free-fall calibration command-outcome "
    "radio cell service repeated doubted-time - - - - - block confirmed checkpoint"
).split()
_MOST = const(1000)
_TURN = const(16)  # records read before other tasks run
_SPECIAL = b"\x10\x04\x0a\x0d\x1e"  # DLE must be escaped first


async def do_log(console, words):
    """Show the log or export it."""
    log, state = console.recorder.log, console.state
    what = words[0] if words else ""
    if not what:
        console.put("records", [log.first, log.next - 1])
        console.put("sectors", log.count)
        console.put("sectors_free", log.room())
        console.put("sectors_retired", log.retired)
        console.put("damaged", [list(pair) for pair in log.damaged])
        console.put("blocks", state.number)
        console.put("confirmed", state.watermark)
    elif what == "tail" and len(words) < 3:
        count = _number(words[1], _MOST) if len(words) == 2 else 10
        await _records(console, log, log.next - count, log.next - 1)
    elif what == "range" and len(words) == 3:
        first, last = _number(words[1]), _number(words[2])
        if last - first >= _MOST:
            raise ValueError("at most %d records at a time" % _MOST)
        await _records(console, log, first, last)
    elif what == "export" and len(words) < 3:
        await _export(console, log, _number(words[1]) if len(words) == 2 else 0)
    else:
        raise ValueError("type log, log tail [N], log range FIRST LAST or log export [FIRST]")


def _number(word, most=0xFFFFFFFF):
    if not word.isdigit() or len(word) > 10 or int(word) > most:
        raise ValueError("'%s' is not a number up to %d" % (word, most))
    return int(word)


async def _records(console, log, first, last):
    from coldtrail.console import fields

    try:
        # Read one record at a time: a record written meanwhile makes a view invalid.
        for number in range(max(first, log.first), min(last, log.next - 1) + 1):
            try:
                kind, payload = log.read(number)
                text, pairs = fields.row(kind, _values(kind, payload))
            except (LookupError, OSError) as error:
                await console.row("%9d  %s" % (number, error), ("record", number), ("type", None))
                continue
            text = "%9d  %-15s %s" % (number, _TYPES[kind], text)
            await console.row(text, ("record", number), ("type", _TYPES[kind]), *pairs)
    finally:
        del fields
        forget("coldtrail.console", "fields")


def _values(kind, payload):
    if kind == _BLOCK:
        number, last, flags = struct.unpack_from(_BLOCK_HEAD, payload)
        return [number, last, flags, len(payload) - _BLOCK_HEAD_SIZE]
    if kind == _CHECKPOINT:
        return [len(payload)]
    return cbor.decode(payload)


async def _export(console, log, first):
    recorder = console.recorder
    if not recorder.boot:
        recorder.seal()
    head = {
        "tracker": recorder.identity.tracker,
        "chain": console.state.chain.hex(),
        "first": max(first, log.first),
        "next": log.next,
    }
    crc = await _send(console, b"h", 0, json.dumps(head).encode(), 0)
    blocks = 0
    for sequence, kind, payload in log.records(max(first, log.first), log.next - 1):
        if kind == _BLOCK:
            blocks += 1
            crc = await _send(console, b"b", sequence, payload[_BLOCK_HEAD_SIZE:], crc)
        elif sequence % _TURN == 0:
            await asyncio.sleep_ms(0)
    await _send(console, b"e", blocks, b"", crc)


async def _send(console, kind, number, payload, crc):
    body = kind + struct.pack("<I", number) + payload
    crc = binascii.crc32(body, crc)
    body += struct.pack("<I", crc)
    for byte in _SPECIAL:
        body = body.replace(bytes((byte,)), bytes((0x10, byte ^ 0x40)))
    await console.send(b"\x1e" + body + b"\n")
    return crc
