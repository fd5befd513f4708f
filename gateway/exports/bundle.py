"""A shipment's sealed blocks for an independent auditor: a ZIP file without any key.

The same archive gives the same bytes, because the members are in a fixed order, not compressed,
and have a fixed date.
"""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from coldtrail_gateway.contract import ranges
from coldtrail_gateway.contract.envelope import MAX_SIZE, TRACKER_ID
from coldtrail_gateway.contract.utc import iso
from coldtrail_gateway.errors import GatewayError
from coldtrail_gateway.evidence.archive import Entry
from coldtrail_gateway.exports import text
from coldtrail_gateway.shipments.history import History

FORMAT: Final = "evidence/1"
_DATE: Final = (1980, 1, 1, 0, 0, 0)  # the earliest a ZIP file can state
_LARGEST_INDEX: Final = 64 * 1024 * 1024
_COLUMNS: Final = (
    "file",
    "tracker",
    "shipment",
    "chain",
    "number",
    "sha256",
    "bytes",
    "key_version",
    "arrived",
    "repeats",
    "state",
)
_TEXT: Final = """\
The sealed blocks of one shipment
=================================

blocks/      each block's bytes as the tracker sent them, and as the gateway archived them
index.json   what the gateway knows of each block, and what it has confirmed of each chain
index.csv    the same of the blocks, for a spreadsheet

No key is in here. Ask whoever holds the tracker's keys for its uplink key, of the version that the
index names: 32 bytes. With it you can check every block yourself.

1. The file's SHA-256 is what the index says.
2. It is a COSE_Mac0 (RFC 9052), algorithm HMAC 256/256. Its external_aad is the CBOR encoding of
   ["coldtrail/1", "up", TRACKER], TRACKER being the tracker's id in the index. Any COSE library
   verifies its tag with the key; so does
   coldtrail decode blocks/FILE --tracker TRACKER --key-file KEY
3. Its payload is CBOR: key 1 is the chain, key 2 the number, key 7 the shipment, and key 3 the
   first 16 bytes of the SHA-256 over the block before it in the chain. So nobody can take a block
   out, put one in or change the order and not be noticed.

A number that is missing in a chain is a gap. The first block's key 3 names a block that belongs to
something else and is not here. Two files with one number are a fork: both are here. "state" says
what the gateway could not make of a block; "archived" means that nothing was wrong with it.

A watermark N says that blocks 1 to N of the chain are on the gateway's disk, those of other
shipments too; "beyond" lists ranges of numbers above it. This is what the tracker was told.

The meaning of every field: uplink.cddl and UPLINK.md, in the firmware folder of Coldtrail.
All blocks at once, with the keys that a gateway has registered: coldtrail gateway verify-file FILE
"""


class BundleError(GatewayError):
    """A file that is no bundle, or was changed."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """What a bundle holds: the sealed blocks in its order, of one tracker and shipment."""

    tracker: str
    shipment: str
    blocks: tuple[bytes, ...]


def to_zip(history: History) -> bytes:
    """Return the bundle of a shipment; without blocks it has an empty index."""
    blocks = [_described(history, entry) for entry in _in_order(history.entries)]
    index = {
        "coldtrail": FORMAT,
        "tracker": history.tracker,
        "shipment": history.shipment,
        "chains": [_chain(history, chain) for chain in sorted(history.received)],
        "blocks": blocks,
    }
    members = {
        "VERIFY.txt": _TEXT.encode(),
        "index.json": f"{text.to_json(index, indent=1)}\n".encode(),
        "index.csv": text.to_csv(_COLUMNS, blocks).encode(),
    }
    for entry, block in zip(_in_order(history.entries), blocks, strict=True):
        members[block["file"]] = entry.row.sealed
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as file:
        for name, content in members.items():
            member = zipfile.ZipInfo(name, _DATE)
            member.create_system = 3  # otherwise it would depend on the machine
            member.external_attr = 0o644 << 16
            file.writestr(member, content)
    return stream.getvalue()


def read(path: Path) -> Bundle:
    """Return what a bundle holds.

    Raises:
        BundleError: it is none, or a block is not what the index says.
    """
    try:
        with zipfile.ZipFile(path) as file:
            index = json.loads(_member(file, "index.json", _LARGEST_INDEX))
            if index["coldtrail"] != FORMAT or not TRACKER_ID.fullmatch(index["tracker"]):
                raise ValueError(FORMAT)
            blocks = tuple(_checked(file, block, path) for block in index["blocks"])
            return Bundle(index["tracker"], str(index["shipment"]), blocks)
    except (OSError, ValueError, LookupError, TypeError, zipfile.BadZipFile) as error:
        raise BundleError(
            f"{path} is no bundle of sealed blocks: give a file that "
            "'coldtrail gateway export --format blocks' wrote."
        ) from error


def _checked(file: zipfile.ZipFile, block: dict[str, Any], path: Path) -> bytes:
    sealed = _member(file, block["file"], MAX_SIZE)
    if sha256(sealed).hexdigest() != block["sha256"]:
        raise BundleError(
            f"{path} was changed: {block['file']} is not the block that its index names. "
            "Ask for the bundle again."
        )
    return sealed


def _member(file: zipfile.ZipFile, name: str, most: int) -> bytes:
    if file.getinfo(name).file_size > most:
        raise ValueError(name)
    return file.read(name)


def _in_order(entries: tuple[Entry, ...]) -> list[Entry]:
    """Return entries by chain and number, a fork's in the order of arrival."""
    return sorted(entries, key=lambda e: (e.head.chain if e.head else b"", _number(e), e.row.id))


def _number(entry: Entry) -> int:
    return entry.head.number if entry.head else 0


def _described(history: History, entry: Entry) -> dict[str, Any]:
    digest = entry.row.digest.hex()
    chain = entry.head.chain.hex() if entry.head else ""
    return {
        "file": f"blocks/{chain or 'unknown'}-{_number(entry):010}-{digest[:16]}.cbor",
        "tracker": history.tracker,
        "shipment": entry.block.shipment if entry.block else None,
        "chain": chain or None,
        "number": _number(entry) or None,
        "sha256": digest,
        "bytes": len(entry.row.sealed),
        "key_version": entry.row.key_version,
        "arrived": iso(entry.row.received_ms),
        "repeats": entry.row.repeats,
        "state": entry.damage or entry.undecoded or entry.unverified or "archived",
    }


def _chain(history: History, chain: bytes) -> dict[str, Any]:
    kept = history.received[chain]
    watermark = ranges.watermark(kept)
    beyond = kept[1:] if watermark else kept
    return {
        "chain": chain.hex(),
        "watermark": watermark,
        "beyond": [list(span) for span in beyond],
    }
