"""Electronic signatures: 21 CFR 11.50 (what they show), 11.70 (linking) and 11.200 (components).

A signature is an entry of the audit trail, so that it cannot be altered, moved or removed without
being found. The entry names the SHA-256 of what was signed: canonical JSON of the kind of
signature, the subject and the record. These bytes are kept. They name the one thing they are
about, so that a signature cannot be moved to another.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from coldtrail_gateway.audit import canonical, local_time, trail
from coldtrail_gateway.audit.canonical import Json
from coldtrail_gateway.audit.trail import Action, Actor, Entry, Subject, TrailError, Wanted
from coldtrail_gateway.audit.trail_tables import signed_records
from coldtrail_gateway.contract.printable import printable
from coldtrail_gateway.contract.utc import iso
from coldtrail_gateway.errors import GatewayError

FORMAT: Final = "signed/1"
SIGNED: Final = "signature.signed"
SUPERSEDED: Final = Action("signature.superseded")

FIRST: Final = 2
"""Components of the first signing of a session (11.200(a)(1)(i)); each further one needs one."""

CONTINUOUS_MS: Final = 12 * 3600 * 1000
"""How long one session passes for one continuous period; then all components are asked again."""


class SignatureError(GatewayError):
    """Nothing was signed; the message says why."""


@dataclass(frozen=True, slots=True)
class SigningKind:
    """What can be signed; `subject` is the kind of what it is about.

    `meaning` is what 11.50(a)(3) asks for: review, approval, responsibility or authorship.
    """

    name: str
    subject: str
    meaning: str
    needs_why: bool = False


KINDS: Final[Mapping[str, SigningKind]] = {
    kind.name: kind
    for kind in (
        SigningKind("release", "shipment", "Approval: the shipment is released for use"),
        SigningKind(
            "rejection", "shipment", "Rejection: the shipment must not be used", needs_why=True
        ),
        SigningKind(
            "profile-approval", "profile", "Approval: the profile may be used from its date on"
        ),
        SigningKind(
            "report-approval", "report", "Review and approval: the report says what was measured"
        ),
    )
}


@dataclass(frozen=True, slots=True)
class Proof:
    """That somebody has just proven who he is: whose account, and by which components.

    Components are words such as ``password`` and ``totp``.
    """

    person: str
    components: frozenset[str]


@dataclass(frozen=True, slots=True)
class Signature:
    """A signature: its entry in the trail, and what that says of it."""

    entry: Entry
    kind: str
    meaning: str
    digest: bytes
    components: tuple[str, ...]

    @property
    def number(self) -> int:
        """The number of its entry, by which it is named."""
        return self.entry.number

    @property
    def subject(self) -> Subject:
        """What was signed."""
        return self.entry.subject


@dataclass(frozen=True, slots=True)
class Standing:
    """Whether a signature stands; if not, the entry that says since when, once there is one."""

    stands: bool
    superseded: Entry | None


def content(kind: SigningKind, subject: Subject, record: Json) -> bytes:
    """Return exactly what is signed: canonical JSON that names kind, subject and record.

    Raises:
        CanonicalError: the record has no canonical form.
    """
    named = {"kind": subject.kind, "id": subject.id}
    return canonical.encode(
        {"coldtrail": FORMAT, "kind": kind.name, "subject": named, "record": record}
    )


def content_hash(kind: SigningKind, subject: Subject, record: Json) -> bytes:
    """Return the SHA-256 of what is, or would be, signed."""
    return sha256(content(kind, subject, record)).digest()


def needed(connection: Connection, signer: Actor, session: str, now_ms: int) -> int:
    """Return how many components the next signature needs in this session (11.200(a)(1))."""
    wanted = Wanted(
        actor=signer.id, action=SIGNED, since_ms=now_ms - CONTINUOUS_MS, until_ms=now_ms + 1
    )
    has_signed = any(
        entry.actor.kind is signer.kind and entry.after["session"] == session
        for entry in trail.find(connection, wanted)
    )
    return 1 if has_signed else FIRST


def sign(
    connection: Connection,
    signer: Actor,
    kind: SigningKind,
    subject: Subject,
    record: Json,
    why: str,
    proof: Proof,
    session: str,
    now_ms: int,
) -> Signature:
    """Sign a record in the transaction that acts upon it, and return the signature.

    `record` is what the signer was shown. `session` names the period that he is logged in for and
    is no secret. `proof` is what he has proven for this signature, a moment ago, by as many
    components as are `needed`.

    Raises:
        SignatureError: the signer is no person, or the proof is not his or too little.
        TrailError: this kind needs a reason.
        CanonicalError: the record has no canonical form.
    """
    if signer.kind is not trail.Kind.PERSON:
        raise SignatureError(
            f"A {signer.kind.value} cannot sign: a signature belongs to one person. Log in."
        )
    if subject.kind != kind.subject:
        raise SignatureError(f"A {kind.name} signs a {kind.subject}, not a {subject.kind}.")
    signed = content(kind, subject, record)
    least = needed(connection, signer, session, now_ms)
    if proof.person != signer.id:
        raise SignatureError(
            "Who has authenticated is not who signs: log in as yourself, and sign again."
        )
    if len(proof.components) < least:
        raise SignatureError(
            "The first signature of a session needs two components, such as password and code, "
            f"and each further one needs one. Here {least} must be given, and it was "
            f"{len(proof.components)}: sign again."
        )
    digest = sha256(signed).digest()
    entry = trail.append(
        connection,
        signer,
        Action(SIGNED, needs_why=kind.needs_why),
        subject,
        None,
        {
            "kind": kind.name,
            "meaning": kind.meaning,
            "sha256": digest.hex(),
            "components": sorted(proof.components),
            "session": session,
        },
        why,
        now_ms,
    )
    known = sa.select(signed_records.c.digest).where(signed_records.c.digest == digest)
    if connection.scalar(known) is None:
        connection.execute(sa.insert(signed_records).values(digest=digest, content=signed))
    return signature(entry)


def signature(entry: Entry) -> Signature:
    """Return the signature that an entry of the trail is.

    Raises:
        TrailError: it is none.
    """
    try:
        after: Mapping[str, Any] = entry.after
        return Signature(
            entry,
            str(after["kind"]),
            str(after["meaning"]),
            bytes.fromhex(after["sha256"]),
            tuple(map(str, after["components"])),
        )
    except (LookupError, TypeError, ValueError):
        raise TrailError(
            f"Entry {entry.number} of the audit trail is no signature as Coldtrail makes one: "
            "look with coldtrail gateway audit verify."
        ) from None


def of(connection: Connection, subject: Subject) -> Iterator[Signature]:
    """Return the signatures of a subject, the oldest first; also those that are superseded."""
    wanted = Wanted(action=SIGNED, kind=subject.kind, subject=subject.id)
    return map(signature, trail.find(connection, wanted))


def get(connection: Connection, number: int) -> Signature:
    """Return the signature with a number.

    Raises:
        TrailError: the trail has no such entry.
        SignatureError: the entry is no signature.
    """
    entry = trail.get(connection, number)
    if entry.action != SIGNED:
        raise SignatureError(f"Entry {number} of the audit trail is no signature.")
    return signature(entry)


def signed_content(connection: Connection, signed: Signature) -> bytes:
    """Return exactly the bytes that were signed.

    Raises:
        SignatureError: they are not there, or are others.
    """
    stored = connection.scalar(
        sa.select(signed_records.c.content).where(signed_records.c.digest == signed.digest)
    )
    if stored is None or sha256(stored).digest() != signed.digest:
        raise SignatureError(
            f"What signature {signed.number} signed is no longer there as it was signed: "
            "look with coldtrail gateway audit verify."
        )
    return bytes(stored)


def standing(connection: Connection, signed: Signature, current_hash: bytes) -> Standing:
    """Tell whether a signature stands over what is true now; changes nothing.

    A signature that was superseded once stays so, also where the data become what they were.
    """
    entry = _superseded(connection, signed)
    return Standing(entry is None and current_hash == signed.digest, entry)


def review(
    connection: Connection, signed: Signature, current_hash: bytes, now_ms: int
) -> Standing:
    """Tell the same, and where it no longer stands, see to it that the trail says so.

    For whoever keeps the data (`coldtrail` itself is the actor): a signature is never superseded
    silently, and nothing of it is deleted. Needs a transaction that writes.
    """
    trail.lock(connection)
    found = standing(connection, signed, current_hash)
    if found.stands or found.superseded:
        return found
    entry = trail.append(
        connection,
        trail.SYSTEM,
        SUPERSEDED,
        signed.subject,
        {"sha256": signed.digest.hex()},
        {"sha256": current_hash.hex()},
        "The data are others than those that were signed.",
        now_ms,
        answers=signed.number,
    )
    return Standing(stands=False, superseded=entry)


def manifest(signed: Signature, found: Standing) -> str:
    """Return what every readable form of a signed record must show (11.50(b)), as lines."""
    entry = signed.entry
    local = local_time.local_iso(entry.at_ms, entry.offset_min)
    lines = [
        f"Electronically signed by {printable(entry.actor.name)} ({printable(entry.actor.id)})",
        f"Meaning: {printable(signed.meaning)}",
        f"Signed at: {iso(entry.at_ms)} (local time {local}, {printable(entry.actor.zone)})",
    ]
    if entry.why:
        lines.append(f"Reason: {printable(entry.why)}")
    lines.append(f"SHA-256 of what was signed: {signed.digest.hex()}")
    lines.append(f"Entry in the audit trail: {entry.number}, {entry.digest.hex()}")
    if found.superseded:
        lines.append(
            f"SUPERSEDED by later data at {iso(found.superseded.at_ms)} "
            f"(entry {found.superseded.number})"
        )
    elif not found.stands:
        lines.append("SUPERSEDED by later data")
    return "\n".join(lines)


def _superseded(connection: Connection, signed: Signature) -> Entry | None:
    wanted = Wanted(action=SUPERSEDED.name, answers=signed.number)
    return next(trail.find(connection, wanted), None)
