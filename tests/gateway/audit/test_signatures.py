"""Electronic signatures: 21 CFR 11.50, 11.70 and 11.200, and that later data supersede them."""

from __future__ import annotations

import json
from dataclasses import replace
from hashlib import sha256

import pytest

from coldtrail_gateway.audit import signatures, trail
from coldtrail_gateway.audit.canonical import CanonicalError
from coldtrail_gateway.audit.signatures import (
    KINDS,
    Proof,
    Signature,
    SignatureError,
    SigningKind,
    content_hash,
)
from coldtrail_gateway.audit.trail import Actor, Kind, Subject, TrailError
from coldtrail_gateway.store.tower.database import Tower

NOW_MS = 1_772_323_200_000  # 2026-03-01
HOUR_MS = 3_600_000
ANA = Actor(Kind.PERSON, "ana", "Ana Petrova", "192.0.2.7", "Europe/Vienna")
BEN = Actor(Kind.PERSON, "ben", "Ben Okafor", "192.0.2.8", "Africa/Lagos")
SHIPMENT = Subject("shipment", "S-1")
RECORD = {"shipment": "S-1", "blocks": ["aa", "bb"]}
BOTH = frozenset(["password", "totp"])
ONE = frozenset(["password"])


def sign(
    tower: Tower,
    signer: Actor = ANA,
    kind: SigningKind = KINDS["release"],
    components: frozenset[str] = BOTH,
    session: str = "s1",
    now_ms: int = NOW_MS,
    why: str = "",
    person: str | None = None,
) -> Signature:
    with tower.write() as connection:
        return signatures.sign(
            connection,
            signer,
            kind,
            Subject(kind.subject, "S-1"),
            RECORD,
            why,
            Proof(person or signer.id, components),
            session,
            now_ms,
        )


def entries(tower: Tower) -> list[trail.Entry]:
    with tower.read() as connection:
        return list(trail.find(connection))


def test_a_signature_carries_what_11_50_asks_for(tower: Tower) -> None:
    made = sign(tower, why="all readings in range")
    with tower.read() as connection:
        found = signatures.standing(
            connection, made, content_hash(KINDS["release"], SHIPMENT, RECORD)
        )
        assert signatures.get(connection, made.number) == made
        assert list(signatures.of(connection, SHIPMENT)) == [made]
    assert found.stands
    local = "2026-03-01T01:00:00.000+01:00"
    assert signatures.manifest(made, found).splitlines() == [
        "Electronically signed by Ana Petrova (ana)",
        "Meaning: Approval: the shipment is released for use",
        f"Signed at: 2026-03-01T00:00:00.000Z (local time {local}, Europe/Vienna)",
        "Reason: all readings in range",
        f"SHA-256 of what was signed: {made.digest.hex()}",
        f"Entry in the audit trail: 1, {made.entry.digest.hex()}",
    ]


def test_exactly_what_was_signed_is_kept(tower: Tower) -> None:
    made = sign(tower)
    with tower.read() as connection:
        content = signatures.signed_content(connection, made)
    assert sha256(content).digest() == made.digest
    assert json.loads(content) == {
        "coldtrail": "signed/1",
        "kind": "release",
        "subject": {"kind": "shipment", "id": "S-1"},
        "record": RECORD,
    }


def test_a_signature_cannot_be_moved_to_another_record(tower: Tower) -> None:
    made = sign(tower)
    release = KINDS["release"]
    others = [
        content_hash(release, Subject("shipment", "S-2"), RECORD),
        content_hash(KINDS["rejection"], SHIPMENT, RECORD),
        content_hash(release, SHIPMENT, {**RECORD, "blocks": ["aa"]}),
    ]
    with tower.read() as connection:
        for other in others:
            assert not signatures.standing(connection, made, other).stands
        assert list(signatures.of(connection, Subject("shipment", "S-2"))) == []


def test_the_first_signature_of_a_session_needs_two_components(tower: Tower) -> None:
    with pytest.raises(SignatureError, match="Here 2 must be given, and it was 1"):
        sign(tower, components=ONE)
    assert entries(tower) == []
    sign(tower)
    sign(tower, components=ONE, now_ms=NOW_MS + HOUR_MS)
    with pytest.raises(SignatureError, match="Here 2 must be given, and it was 1"):
        sign(tower, components=ONE, session="s2", now_ms=NOW_MS + HOUR_MS)
    with pytest.raises(SignatureError, match="Here 2 must be given, and it was 1"):
        sign(tower, components=ONE, signer=BEN, now_ms=NOW_MS + HOUR_MS)
    with pytest.raises(SignatureError, match="Here 1 must be given, and it was 0"):
        sign(tower, components=frozenset(), now_ms=NOW_MS + HOUR_MS)
    # A session that lasts for days is no continuous period.
    later_ms = NOW_MS + HOUR_MS + signatures.CONTINUOUS_MS + 1
    with pytest.raises(SignatureError, match="Here 2 must be given, and it was 1"):
        sign(tower, components=ONE, now_ms=later_ms)


def test_nobody_signs_with_anothers_proof(tower: Tower) -> None:
    with pytest.raises(SignatureError, match="is not who signs"):
        sign(tower, person="ben")
    assert entries(tower) == []


@pytest.mark.parametrize("kind", [kind for kind in Kind if kind is not Kind.PERSON])
def test_only_a_person_signs(tower: Tower, kind: Kind) -> None:
    with pytest.raises(SignatureError, match="cannot sign"):
        sign(tower, signer=replace(ANA, kind=kind))
    assert entries(tower) == []


def test_a_rejection_needs_a_reason(tower: Tower) -> None:
    with pytest.raises(TrailError, match="Say why"):
        sign(tower, kind=KINDS["rejection"])
    made = sign(tower, kind=KINDS["rejection"], why="9 h above 8 °C")
    assert made.entry.why == "9 h above 8 °C"


def test_a_kind_signs_only_its_own_subjects(tower: Tower) -> None:
    with (
        pytest.raises(SignatureError, match="signs a shipment, not a profile"),
        tower.write() as connection,
    ):
        signatures.sign(
            connection,
            ANA,
            KINDS["release"],
            Subject("profile", "P"),
            RECORD,
            "",
            Proof("ana", BOTH),
            "s1",
            NOW_MS,
        )


def test_what_cannot_be_signed_is_refused(tower: Tower) -> None:
    with pytest.raises(CanonicalError), tower.write() as connection:
        signatures.sign(
            connection,
            ANA,
            KINDS["release"],
            SHIPMENT,
            {"n": 2**53},
            "",
            Proof("ana", BOTH),
            "s1",
            NOW_MS,
        )
    assert entries(tower) == []


def test_later_data_supersede_a_signature_and_the_trail_says_so(tower: Tower) -> None:
    made = sign(tower)
    release = KINDS["release"]
    same = content_hash(release, SHIPMENT, RECORD)
    later = content_hash(release, SHIPMENT, {**RECORD, "blocks": ["aa", "bb", "cc"]})
    with tower.write() as connection:
        assert signatures.review(connection, made, same, NOW_MS + 1).stands
    assert len(entries(tower)) == 1
    with tower.read() as connection:
        # Whoever only looks is told, before anything is recorded.
        found = signatures.standing(connection, made, later)
    assert not found.stands
    assert found.superseded is None
    assert signatures.manifest(made, found).endswith("SUPERSEDED by later data")
    for _ in range(2):  # recorded once
        with tower.write() as connection:
            found = signatures.review(connection, made, later, NOW_MS + 2)
    _, entry = entries(tower)
    assert found == signatures.Standing(stands=False, superseded=entry)
    assert entry.actor == trail.SYSTEM
    assert entry.action == "signature.superseded"
    assert entry.subject == SHIPMENT
    assert entry.answers == made.number
    assert entry.before == {"sha256": same.hex()}
    assert entry.after == {"sha256": later.hex()}
    assert "SUPERSEDED by later data at 2026-03-01T00:00:00.002Z (entry 2)" in (
        signatures.manifest(made, found)
    )
    with tower.read() as connection:
        # Also where the data become again what they were; and nothing was deleted.
        assert not signatures.standing(connection, made, same).stands
        assert sha256(signatures.signed_content(connection, made)).digest() == made.digest


def test_two_people_sign_one_record(tower: Tower) -> None:
    first = sign(tower)
    second = sign(tower, signer=BEN)
    assert first.digest == second.digest
    with tower.read() as connection:
        assert [one.entry.actor.name for one in signatures.of(connection, SHIPMENT)] == [
            "Ana Petrova",
            "Ben Okafor",
        ]


def test_an_entry_that_is_no_signature(tower: Tower) -> None:
    with tower.write() as connection:
        trail.append(connection, ANA, trail.Action("x.y"), SHIPMENT, None, None, "", NOW_MS)
    with tower.read() as connection:
        with pytest.raises(SignatureError, match="no signature"):
            signatures.get(connection, 1)
        with pytest.raises(TrailError, match="has no entry 9"):
            signatures.get(connection, 9)
