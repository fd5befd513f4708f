"""Anchors: signed files outside the database that say what archive and audit trail held.

Whoever may do everything at the database can rewrite it so that it agrees with itself. He cannot
rewrite what is signed and kept elsewhere. Each anchor covers the rows since the one before and
names that one's hash, so that it costs only what is new. Its files in the folder of anchors:

    anchor-000001.json       what it states, in canonical JSON; this is signed
    anchor-000001.sig        Ed25519 over these bytes, 64 bytes
    anchor-000001.lines.gz   a line of canonical JSON for each row that it covers
    anchor-000001.tsr        where asked for: a time stamp (RFC 3161) of the first file
    anchor-public.pem        the key that verifies

The statement has the root of the hash tree (`merkle`) over the lines. The statement is written
last: what has none is no anchor.
"""

from __future__ import annotations

import fcntl
import gzip
import os
import re
import time
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy.engine import Connection

from coldtrail_gateway.audit import anchor_keys, canonical, merkle, timestamps, trail
from coldtrail_gateway.audit.canonical import Json
from coldtrail_gateway.audit.trail import Action, Actor, Subject, Wanted
from coldtrail_gateway.contract.utc import iso
from coldtrail_gateway.errors import GatewayError
from coldtrail_gateway.store.archive import Archived
from coldtrail_gateway.store.database import Store
from coldtrail_gateway.store.feed import START, Cursor, Feed, SetBackError
from coldtrail_gateway.store.tower.database import Tower

FORMAT: Final = "anchor/1"
MADE: Final = Action("anchor.made")
SUBJECT: Final = "anchor"
PUBLIC: Final = "anchor-public.pem"

_NAME: Final = re.compile(r"anchor-(\d{6,})\.json")
_PAGE: Final = 1000
_WAIT_S: Final = 10.0  # for gateways whose transactions are unfinished
_LONGEST_LINE: Final = 64 * 1024
_NEW_SERIES: Final = (
    "No anchor was made. If it is lost for good, begin another series: in another folder "
    "(--anchors) and with another key (--key)."
)


class AnchorError(GatewayError):
    """No anchor was made, or one cannot be read."""


@dataclass(frozen=True, slots=True)
class Anchor:
    """An anchor as its files hold it.

    Attributes:
        number: 1, 2, 3, …
        statement: the bytes that are signed.
        made_ms: UTC.
        previous: SHA-256 of the statement before; empty in the first.
        blocks: rows of the archive: those behind the first number, up to the second.
        last: SHA-256 of the block at the second.
        entries: entries of the trail: those behind the first number, up to the second.
        head: digest of the entry at the second.
        lines: how many rows it covers.
        root: root of the hash tree over their lines.
        folder: where its files are.
    """

    number: int
    statement: bytes = field(repr=False)
    made_ms: int
    previous: bytes
    blocks: tuple[int, int]
    last: bytes
    entries: tuple[int, int]
    head: bytes
    lines: int
    root: bytes
    folder: Path = field(repr=False)

    @property
    def digest(self) -> bytes:
        """The hash by which the next anchor, and the trail, name it."""
        return sha256(self.statement).digest()

    @property
    def signature(self) -> bytes:
        """The bytes beside it that should be its signature; empty where there are none."""
        return _bytes(_file(self.folder, self.number, "sig"))

    @property
    def stamp(self) -> bytes:
        """The time stamp beside it; empty where there is none."""
        return _bytes(_file(self.folder, self.number, "tsr"))

    def rows(self) -> Iterator[bytes]:
        """Return the lines of the rows that it covers, as the file beside it has them.

        Raises:
            AnchorError: the file is not there or cannot be read.
        """
        path = _file(self.folder, self.number, "lines.gz")
        try:
            with gzip.open(path, "rb") as file:
                while line := file.readline(_LONGEST_LINE):
                    yield line.removesuffix(b"\n")
        except (OSError, EOFError, zlib.error) as error:
            raise AnchorError(
                f"{path} cannot be read ({error}): bring back a copy of it."
            ) from error


def block_line(row: Mapping[str, Any]) -> bytes:
    """Return what an anchor keeps of a row of the archive.

    Raises:
        ValueError: a column holds what is never written there.
    """
    for name, kind in (
        ("id", int),
        ("tracker", str),
        ("digest", bytes),
        ("key_version", int),
        ("received_ms", int),
    ):
        if type(row[name]) is not kind:
            raise ValueError(f"{name} is no {kind.__name__}")
    chain, number = row["chain"], row["number"]
    if not isinstance(chain, bytes | None) or not isinstance(number, int | None):
        raise ValueError("chain or number is of another type")  # noqa: TRY004 - told as the rest
    return canonical.encode(
        {
            "id": row["id"],
            "tracker": row["tracker"],
            "chain": None if chain is None else chain.hex(),
            "number": number,
            "sha256": row["digest"].hex(),
            "key_version": row["key_version"],
            "received_ms": row["received_ms"],
        }
    )


def entry_line(number: int, digest: bytes) -> bytes:
    """Return what an anchor keeps of an entry of the trail."""
    return canonical.encode({"entry": number, "sha256": digest.hex()})


def numbers(folder: Path) -> list[int]:
    """Return the numbers of the anchors in a folder, in order; none where there is no folder."""
    if not folder.is_dir():
        return []
    found = (_NAME.fullmatch(path.name) for path in folder.iterdir())
    return sorted(int(match[1]) for match in found if match)


def read(folder: Path, number: int) -> Anchor:
    """Return an anchor; nothing of it is verified.

    Raises:
        AnchorError: it is not there, or is none.
    """
    path = _file(folder, number, "json")
    try:
        statement = path.read_bytes()
        value = canonical.decode(statement)
        archive, entries = value["archive"], value["trail"]
        if value["coldtrail"] != FORMAT or value["number"] != number:
            raise ValueError(FORMAT)
        return Anchor(
            number,
            statement,
            int(value["made_ms"]),
            bytes.fromhex(value["previous"] or ""),
            (int(archive["after"]), int(archive["to"])),
            bytes.fromhex(archive["sha256"]),
            (int(entries["after"]), int(entries["to"])),
            bytes.fromhex(entries["sha256"]),
            int(value["lines"]),
            bytes.fromhex(value["root"]),
            folder,
        )
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise AnchorError(
            f"{path} is no anchor {number} as Coldtrail writes one: bring back a copy of it."
        ) from error


def make(
    store: Store,
    tower: Tower,
    folder: Path,
    key_file: Path,
    actor: Actor,
    now_ms: int,
    tsa: str | None = None,
) -> Anchor:
    """Make the next anchor over what is new in archive and trail, and return it.

    At first use the key is made. That an anchor was made becomes an entry of the trail: so a
    lost file is missed. A time stamp that was not given leaves the anchor without one.

    Raises:
        AnchorError: the folder cannot be written, or what was anchored is not there any more.
        AnchorKeyError: the key cannot be used.
        TimestampError: the anchor was made, and got no time stamp.
    """
    with _alone(folder):
        made = numbers(folder)
        last = read(folder, made[-1]) if made else None
        key = _key(folder, key_file)
        signed_by = anchor_keys.fingerprint(key.public_key())
        _check_known(tower, folder, signed_by, last)
        if last:
            _record(tower, last, signed_by, actor, now_ms)  # an earlier run ended before it could
        anchor = _make(store, tower, folder, key, last, now_ms)
        _record(tower, anchor, signed_by, actor, now_ms)
        if tsa is not None:
            _write(_file(folder, anchor.number, "tsr"), timestamps.request(tsa, anchor.statement))
    return anchor


def recorded(connection: Connection) -> dict[str, dict[int, bytes]]:
    """Return the hash of each anchor that was made, by number, as the trail has it.

    By the fingerprint of the key that signed them: another key begins another series.
    """
    found: dict[str, dict[int, bytes]] = {}
    for entry in trail.find(connection, Wanted(action=MADE.name)):
        series = found.setdefault(entry.after["signed_by"], {})
        series[int(entry.subject.id)] = bytes.fromhex(entry.after["sha256"])
    return found


def _check_known(tower: Tower, folder: Path, signed_by: str, last: Anchor | None) -> None:
    with tower.read() as connection:
        known = max(recorded(connection).get(signed_by, {}), default=0)
    if known > (last.number if last else 0):
        raise AnchorError(
            f"Anchor {known}, which the audit trail knows, is not in {folder}: bring its files "
            f"back. {_NEW_SERIES}"
        )


def _make(
    store: Store,
    tower: Tower,
    folder: Path,
    key: Ed25519PrivateKey,
    last: Anchor | None,
    now_ms: int,
) -> Anchor:
    number = last.number + 1 if last else 1
    cursor = Cursor(last.blocks[1], last.last) if last and last.blocks[1] else START
    counted = _Counted(cursor, last.entries[1] if last else 0, last.head if last else bytes(32))
    path = _file(folder, number, "lines.gz")
    first_block, first_entry = counted.cursor.id, counted.entry
    with _replacing(path) as plain, gzip.GzipFile("", "wb", fileobj=plain, mtime=0) as file:
        root = merkle.root(_written(_lines(store, tower, counted), file, counted))
    statement = canonical.encode(
        {
            "coldtrail": FORMAT,
            "number": number,
            "made": iso(now_ms),
            "made_ms": now_ms,
            "previous": last.digest.hex() if last else None,
            "archive": {
                "after": first_block,
                "to": counted.cursor.id,
                "sha256": counted.cursor.digest.hex(),
            },
            "trail": {
                "after": first_entry,
                "to": counted.entry,
                "sha256": counted.head.hex(),
            },
            "lines": counted.lines,
            "root": root.hex(),
            "key": anchor_keys.fingerprint(key.public_key()),
        }
    )
    _write(_file(folder, number, "sig"), key.sign(statement))
    _write(_file(folder, number, "json"), statement)
    return read(folder, number)


@dataclass
class _Counted:
    """How far an anchor has come."""

    cursor: Cursor
    entry: int
    head: bytes
    lines: int = 0


def _lines(store: Store, tower: Tower, counted: _Counted) -> Iterator[bytes]:
    try:
        for tracker, row in _settled(Feed(store), counted):
            yield block_line(_columns(tracker, row))
    except SetBackError:
        raise AnchorError(
            f"The archive no longer has the block that the last anchor ends with (row "
            f"{counted.cursor.id}): find out what was changed with coldtrail gateway audit "
            f"verify. {_NEW_SERIES}"
        ) from None
    with tower.read() as connection:
        _check_head(connection, counted)
        for entry in trail.find(connection, Wanted(after=counted.entry)):
            if entry.number != counted.entry + 1 or entry.previous != counted.head:
                raise _unfollowed(entry.number)
            counted.entry, counted.head = entry.number, entry.digest
            yield entry_line(entry.number, entry.digest)


def _check_head(connection: Connection, counted: _Counted) -> None:
    """Refuse to go on where the last entry that was anchored is not there, or is another."""
    if counted.entry == 0:
        return
    try:
        there = trail.get(connection, counted.entry).digest
    except trail.TrailError:
        there = b""
    if there != counted.head:
        raise _unfollowed(counted.entry)


def _unfollowed(number: int) -> AnchorError:
    return AnchorError(
        f"Entry {number} of the audit trail does not fit what is anchored: find out what was "
        f"changed with coldtrail gateway audit verify. {_NEW_SERIES}"
    )


def _settled(feed: Feed, counted: _Counted) -> Iterator[tuple[str, Archived]]:
    """Return the blocks that are new; wait a little for what is about to be committed."""
    until = time.monotonic() + _WAIT_S
    while True:
        rows, counted.cursor = feed.news(counted.cursor, _PAGE)
        yield from rows
        if not rows:
            if not feed.behind(counted.cursor).awaited or time.monotonic() > until:
                return
            time.sleep(0.05)


def _columns(tracker: str, row: Archived) -> dict[str, Any]:
    return {
        "id": row.id,
        "tracker": tracker,
        "digest": row.digest,
        "key_version": row.key_version,
        "received_ms": row.received_ms,
        "chain": row.chain,
        "number": row.number,
    }


def _written(lines: Iterator[bytes], file: gzip.GzipFile, counted: _Counted) -> Iterator[bytes]:
    for line in lines:
        file.write(line + b"\n")
        counted.lines += 1
        yield merkle.leaf(line)


def _record(tower: Tower, anchor: Anchor, signed_by: str, actor: Actor, now_ms: int) -> None:
    with tower.write() as connection:
        trail.lock(connection)
        if anchor.number in recorded(connection).get(signed_by, {}):
            return
        after: dict[str, Json] = {
            "sha256": anchor.digest.hex(),
            "lines": anchor.lines,
            "signed_by": signed_by,
        }
        subject = Subject(SUBJECT, str(anchor.number))
        trail.append(connection, actor, MADE, subject, None, after, "", now_ms)


def _key(folder: Path, key_file: Path) -> Ed25519PrivateKey:
    public_file = folder / PUBLIC
    if key_file.exists():
        key = anchor_keys.private(key_file)
    elif public_file.exists() or numbers(folder):
        raise AnchorError(
            f"{key_file} is not there, and the anchors in {folder} were made with a key: name "
            "that key with --key, or begin in another folder with --anchors."
        )
    else:
        key = anchor_keys.make(key_file)
    pem = anchor_keys.pem(key.public_key())
    if not public_file.exists():
        _write(public_file, pem)
    elif public_file.read_bytes() != pem:
        raise AnchorError(
            f"{key_file} is not the key that the anchors in {folder} were made with: name that "
            "key with --key, or begin in another folder with --anchors."
        )
    return key


def _file(folder: Path, number: int, suffix: str) -> Path:
    return folder / f"anchor-{number:06}.{suffix}"


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def _write(path: Path, content: bytes) -> None:
    with _replacing(path) as file:
        file.write(content)


@contextmanager
def _replacing(path: Path) -> Iterator[BinaryIO]:
    """Write a file that is there whole, on disk, or not at all."""
    beside = path.with_name(f".{path.name}.part")
    try:
        with beside.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
        descriptor = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise AnchorError(f"{path} cannot be written ({error.strerror}).") from error
    finally:
        beside.unlink(missing_ok=True)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Let nobody else on this machine make an anchor in this folder meanwhile."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / ".lock").open("wb")
    except OSError as error:
        raise AnchorError(
            f"The folder of anchors {folder} cannot be used ({error.strerror}): name another "
            "with --anchors."
        ) from error
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
