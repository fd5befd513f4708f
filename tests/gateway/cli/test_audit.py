"""The commands of ``coldtrail gateway audit``, as somebody types them."""

from __future__ import annotations

import json
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from click.testing import CliRunner, Result

from coldtrail_gateway.audit import signatures, trail
from coldtrail_gateway.audit.canonical import Json
from coldtrail_gateway.audit.signatures import KINDS, Proof
from coldtrail_gateway.audit.trail import Action, Actor, Kind, Subject
from coldtrail_gateway.cli.main import gateway
from coldtrail_gateway.store.database import Store
from coldtrail_gateway.store.tower.database import Tower
from tests.gateway import databases
from tests.gateway.audit.kept import deliver
from tests.support.blocks.blockmaker import Maker, rows

NOW_MS = 1_772_323_200_000  # 2026-03-01
HOUR_MS = 3_600_000
ANA = Actor(Kind.PERSON, "ana", "Ana Petrova", "192.0.2.7", "Europe/Vienna")
BEN = Actor(Kind.PERSON, "ben", "Ben Okafor\x1b[2J", "192.0.2.8", "Africa/Lagos")
PLAN = Action("shipment.plan")
S1, S2 = Subject("shipment", "S-1"), Subject("shipment", "S-2")


@pytest.fixture
def told(store: Store, database: str) -> str:
    """URL of a gateway with a block, and five entries of two people, the last a signature."""
    deliver(database, [Maker().block(rows(2))])
    changes: list[tuple[Actor, Subject, Json, Json]] = [
        (ANA, S1, None, {"origin": "Vienna", "legs": {"count": 1}}),
        (ANA, S2, None, {"origin": "Lagos"}),
        (BEN, S1, {"origin": "Vienna", "legs": {"count": 1}}, {"origin": "Linz"}),
        (BEN, S1, {"origin": "Linz"}, {"origin": "Graz", "carrier": "=A1"}),
    ]
    with Tower(database, create=True) as tower, tower.write() as connection:
        for hour, (actor, subject, before, after) in enumerate(changes):
            now_ms = NOW_MS + hour * HOUR_MS
            trail.append(connection, actor, PLAN, subject, before, after, f"h{hour}", now_ms)
        proof = Proof("ana", frozenset(["password", "totp"]))
        at_ms = NOW_MS + 4 * HOUR_MS
        signatures.sign(
            connection, ANA, KINDS["release"], S1, {"blocks": 1}, "", proof, "s", at_ms
        )
    return database


def run(database: str, *arguments: object, code: int = 0) -> Result:
    words = ["audit", *map(str, arguments), "--db", database]
    result = CliRunner().invoke(gateway, words)
    assert result.exit_code == code, result.output
    return result


def numbers(database: str, *arguments: object) -> list[int]:
    listed = json.loads(run(database, "list", *arguments, "--json").stdout)
    return [entry["number"] for entry in listed]


def test_list_filters_by_who_what_subject_and_time(told: str) -> None:
    assert numbers(told) == [1, 2, 3, 4, 5]
    assert numbers(told, "--who", "ben") == [3, 4]
    assert numbers(told, "--what", "shipment.plan") == [1, 2, 3, 4]
    assert numbers(told, "--what", "signature.*") == [5]
    assert numbers(told, "--what", "ship_ent.*") == []
    assert numbers(told, "--subject", "shipment:S-2") == [2]
    assert numbers(told, "--subject", "shipment") == [1, 2, 3, 4, 5]
    assert numbers(told, "--since", "2026-03-01T02:00") == [3, 4, 5]
    assert numbers(told, "--since", "2026-03-01T02:00:00+01:00") == [2, 3, 4, 5]
    assert numbers(told, "--until", "2026-03-01T01:00Z", "--who", "ana") == [1]
    assert run(told, "list", "--since", "yesterday", code=2).output.count("a moment is written")


def test_list_shows_both_times_and_old_and_new_values(told: str) -> None:
    shown = run(told, "list", "--who", "ben").output
    assert "2026-03-01T02:00:00" in shown
    assert "+01:00" in shown
    assert "origin: Vienna → Linz" in shown
    assert "legs.count: 1 → –" in shown
    assert "\x1b" not in shown


def test_show_says_everything_of_an_entry(told: str) -> None:
    lines = run(told, "show", 4).output.splitlines()
    assert lines[:6] == [
        "entry 4: shipment.plan, shipment S-1",
        "who: Ben Okafor\\u001b[2J (person ben), from 192.0.2.8",
        "when: 2026-03-01T03:00:00.000Z, local time 2026-03-01T04:00:00.000+01:00 (Africa/Lagos)",
        "why: h3",
        "changed: carrier: – → =A1",
        "changed: origin: Linz → Graz",
    ]
    assert "has no entry 9" in run(told, "show", 9, code=2).output


def test_show_says_of_a_signature_what_11_50_asks_for(told: str) -> None:
    shown = run(told, "show", 5).output
    assert "Electronically signed by Ana Petrova (ana)" in shown
    assert "Meaning: Approval: the shipment is released for use" in shown
    assert "SUPERSEDED" not in shown
    as_json = json.loads(run(told, "show", 5, "--json").stdout)
    assert as_json["signed"]["record"] == {"blocks": 1}
    assert as_json["superseded_by"] is None
    with Tower(told, create=False) as tower, tower.write() as connection:
        signed = signatures.get(connection, 5)
        signatures.review(connection, signed, b"\0" * 32, NOW_MS + 5 * HOUR_MS)
    assert "SUPERSEDED by later data at 2026-03-01T05:00" in run(told, "show", 5).output
    as_json = json.loads(run(told, "show", 5, "--json").stdout)
    assert (as_json["superseded_by"], as_json["answered_by"]) == (6, [6])


def test_changed_shows_each_field_since_an_entry(told: str) -> None:
    def changed(*arguments: object) -> Any:
        return json.loads(run(told, "changed", "shipment", "S-1", *arguments, "--json").stdout)

    found = {one["field"]: (one["old"], one["new"], one["entry"]) for one in changed()}
    assert found["origin"] == (None, "Graz", 4)
    assert "legs.count" not in found  # it came and went
    since = {one["field"]: one for one in changed("--since-entry", 1)}
    assert since["origin"] == {"field": "origin", "old": "Vienna", "new": "Graz", "entry": 4}
    assert since["legs.count"] == {"field": "legs.count", "old": 1, "new": None, "entry": 3}
    assert "│ Vienna │ Graz" in run(told, "changed", "shipment", "S-1", "--since-entry", 1).output


def test_export_writes_the_lines_that_are_hashed(told: str, tmp_path: Path) -> None:
    run(told, "export", "-o", tmp_path / "trail.jsonl")
    lines = (tmp_path / "trail.jsonl").read_bytes().splitlines()
    previous = "00" * 32
    for line in lines:
        assert json.loads(line)["previous"] == previous
        previous = sha256(line).hexdigest()
    with Tower(told, create=False) as tower, tower.read() as connection:
        last = trail.head(connection)
    assert last
    assert last.digest.hex() == previous
    assert run(told, "export", "--who", "ben").stdout_bytes.splitlines() == lines[2:4]


def test_verify_without_an_anchor_says_what_it_cannot_see(told: str) -> None:
    output = run(told, "verify").output
    assert "read: 1 blocks, 5 entries, 1 signatures, 0 anchors" in output
    assert "There is no anchor that holds" in output
    assert output.endswith("verified\n")


def test_anchor_then_verify(told: str, tmp_path: Path) -> None:
    where = ("--anchors", tmp_path / "a")
    made = run(told, "anchor", *where, "--key", tmp_path / "key.pem").output
    assert made.startswith("anchor 1: 6 rows, archive up to row 1, audit trail up to entry 5, in")
    public = tmp_path / "mine.pem"
    public.write_bytes((tmp_path / "a" / "anchor-public.pem").read_bytes())
    report = json.loads(run(told, "verify", *where, "--public-key", public, "--json").stdout)
    assert report == {
        "coldtrail": "verification/1",
        "good": True,
        "read": {"blocks": 1, "entries": 6, "signatures": 1, "anchors": 1, "stamped": 0},
        "findings": [],
        "not_seen": [],
    }
    databases.unprotect(told)
    databases.tamper(told, sa.text("UPDATE blocks SET received_ms = received_ms + 1"))
    failed = run(told, "verify", *where, code=1).output
    assert f"archive row 1: altered: received_ms is {NOW_MS + 1} and was {NOW_MS}" in failed
    assert failed.endswith("NOT verified\n")
    report = json.loads(run(told, "verify", *where, "--json", code=1).stdout)
    assert report["findings"] == [
        {
            "where": "archive",
            "what": "altered",
            "row": 1,
            "last": 1,
            "detail": f"received_ms is {NOW_MS + 1} and was {NOW_MS}",
        }
    ]


def test_without_anchors_wrong_rows_are_named_too(told: str) -> None:
    databases.unprotect(told)
    databases.tamper(told, sa.text("UPDATE blocks SET tracker = 'CT-1', number = 9"))
    failed = run(told, "verify", code=1).output
    assert "archive row 1: altered: chain and number are others than in its bytes" in failed


def test_an_intent_without_an_answer_is_told(told: str) -> None:
    with Tower(told, create=False) as tower, tower.write() as connection:
        trail.append(connection, ANA, PLAN, S1, None, None, "", NOW_MS + 5 * HOUR_MS, intent=True)
    output = run(told, "verify").output
    assert "Entry 6 of the audit trail (shipment.plan, shipment S-1) says what was about" in output


def test_a_time_that_goes_back_unnoted_is_told(told: str) -> None:
    """As by somebody who appends without the function that notes it."""
    with Tower(told, create=False) as tower, tower.write() as connection:
        last = trail.head(connection)
        assert last
        unsealed = replace(last, number=6, at_ms=NOW_MS, previous=last.digest, after=None)
        unsealed = replace(unsealed, action="shipment.plan")
        entry = replace(unsealed, digest=sha256(unsealed.line).digest())
        connection.execute(
            sa.text(
                "INSERT INTO audit_trail SELECT :number, :at_ms, zone, offset_min, actor_kind, "
                "actor_id, actor_name, actor_source, :action, subject_kind, subject_id, before, "
                "NULL, why, intent, answers, :previous, :digest FROM audit_trail "
                "WHERE number = 5"
            ),
            {
                "number": 6,
                "at_ms": NOW_MS,
                "action": entry.action,
                "previous": entry.previous,
                "digest": entry.digest,
            },
        )
    failed = run(told, "verify", code=1).output
    assert "trail entry 6: time went back: it is of 2026-03-01T00:00:00.000Z" in failed


def test_what_is_not_there_ends_in_a_sentence(tmp_path: Path, told: str) -> None:
    result = CliRunner().invoke(gateway, ["audit", "list", "--db", str(tmp_path / "none.db")])
    assert result.exit_code == 2
    assert result.output.startswith("Error: ")
    for beyond in (("show", 10**20), ("changed", "person", "ana", "--since-entry", 10**20)):
        assert "is not in the range" in run(told, *beyond, code=2).output
    (tmp_path / "no.pem").write_text("no key")
    failed = run(told, "verify", "--public-key", tmp_path / "no.pem", code=2).output
    assert "holds no Ed25519 public key" in failed
    failed = run(told, "anchor", "--tsa", "http://127.0.0.1:1/", "--anchors", tmp_path / "a",
                 "--key", tmp_path / "k.pem", code=2).output  # fmt: skip
    assert "was made without a time stamp" in failed


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_anchors_lie_beside_the_database_file(told: str, tmp_path: Path) -> None:
    run(told, "anchor")
    assert (tmp_path / "gateway.anchors" / "anchor-000001.json").exists()
    assert (tmp_path / "gateway.anchor-key.pem").stat().st_mode & 0o777 == 0o600
    assert "1 anchors that hold" in run(told, "verify").output
