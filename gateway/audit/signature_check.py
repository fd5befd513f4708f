"""Reads every signature again: that what it signed is there, and is about what it stands at."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from coldtrail_gateway.audit import canonical, signatures, trail
from coldtrail_gateway.audit.findings import Finding, What, Where
from coldtrail_gateway.audit.trail import Entry, Wanted
from coldtrail_gateway.audit.trail_tables import signed_records
from coldtrail_gateway.errors import GatewayError

_RAW: Final[tuple[sa.ColumnElement[Any], ...]] = tuple(
    sa.type_coerce(column, sa.types.NullType()).label(column.name) for column in signed_records.c
)


def check(connection: Connection) -> tuple[int, list[Finding]]:
    """Return how many signatures there are, and what is wrong with them or their records.

    Signatures whose entry was altered are not looked at: the check of the trail names these.
    """
    found: list[Finding] = []
    known: dict[bytes, Mapping[str, Any] | None] = {}
    records = connection.execute(sa.select(*_RAW).execution_options(stream_results=True))
    for digest, content in records:
        if not isinstance(digest, bytes) or not isinstance(content, bytes):
            found.append(_finding(What.ALTERED, None, "a signed record is no bytes"))
        else:
            known[digest] = _about(content) if sha256(content).digest() == digest else None
    named: set[bytes] = set()
    count = 0
    for entry in _intact(connection):
        count += 1
        try:
            signature = signatures.signature(entry)
        except GatewayError as error:
            found.append(_finding(What.ALTERED, entry.number, str(error)))
            continue
        named.add(signature.digest)
        subject = {"kind": signature.subject.kind, "id": signature.subject.id}
        if signature.digest not in known:
            found.append(_finding(What.MISSING, entry.number, "what it signed is not there"))
        elif (about := known[signature.digest]) is None:
            found.append(_finding(What.ALTERED, entry.number, "what it signed was altered"))
        elif about != {"kind": signature.kind, "subject": subject}:
            found.append(
                _finding(What.ALTERED, entry.number, "what it signed is about something else")
            )
    found += [
        _finding(What.ADDED, None, f"no signature names the signed record {digest.hex()}")
        for digest in known.keys() - named
    ]
    return count, found


def _about(content: bytes) -> Mapping[str, Any]:
    """Return of which kind a signed record is, and about what; nothing where it does not say."""
    try:
        value = canonical.decode(content)
        return {"kind": value["kind"], "subject": value["subject"]}
    except (ValueError, LookupError, TypeError):
        return {}


def _intact(connection: Connection) -> Iterator[Entry]:
    rows = connection.execute(trail.statement(Wanted(action=signatures.SIGNED)))
    for row in rows:
        try:
            yield Entry.of(row._asdict())
        except ValueError:
            continue


def _finding(what: What, number: int | None, detail: str) -> Finding:
    return Finding(Where.SIGNATURE, what, number, detail)
