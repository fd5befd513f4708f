"""An archive and a trail with two anchors, and an administrator who edits them by hand."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.engine import Connection

from coldtrail_gateway.audit import anchors, signatures, trail, verification
from coldtrail_gateway.audit.findings import What, Where
from coldtrail_gateway.audit.signatures import KINDS, Proof
from coldtrail_gateway.audit.trail import Action, Actor, Kind, Subject
from coldtrail_gateway.ingest import intake
from coldtrail_gateway.ingest.intake import Arrival
from coldtrail_gateway.store import location
from coldtrail_gateway.store.database import Store
from coldtrail_gateway.store.registry import KeyPair, Shipment
from coldtrail_gateway.store.tables import Tables
from coldtrail_gateway.store.tower.database import Tower
from tests.gateway import databases
from tests.support.blocks.blockmaker import Maker, downlink, rows, sealed, uplink

NOW_MS = 1_772_323_200_000  # 2026-03-01
ANA = Actor(Kind.PERSON, "ana", "Ana Petrova", "192.0.2.7", "Europe/Vienna")
SHIPMENT = Subject("shipment", "S-1")
CHANGE = Action("shipment.change")


@dataclass
class Kept:
    """Where everything is; the rows' numbers at the first and at the second anchor."""

    database: str
    folder: Path
    key: Path
    blocks: int
    entries: int

    def anchor(self, now_ms: int = NOW_MS) -> anchors.Anchor:
        with (
            Store(self.database, create=False) as store,
            Tower(self.database, create=False) as tower,
        ):
            return anchors.make(store, tower, self.folder, self.key, trail.SYSTEM, now_ms)

    def report(self, public_key: Path | None = None) -> verification.Report:
        with (
            Store(self.database, create=False) as store,
            Tower(self.database, create=False) as tower,
        ):
            return verification.verify(store.read, tower.read, self.folder, public_key)

    def place(self, word: str) -> str:
        """Return the URL of one of the two databases, for an engine of the tests' own."""
        if word == "archive":
            return self.database
        if self.database.startswith("sqlite"):
            file = Path(self.database.removeprefix("sqlite:///"))
            return f"sqlite:///{location.beside(file, 'tower')}"
        return f"{self.database}&options=-csearch_path%3Dtower"

    @contextmanager
    def administrator(self, word: str) -> Iterator[Connection]:
        """Open one of the two databases without its triggers; what is done there is undone."""
        own = databases.engine(self.place(word))
        with own.connect() as connection:
            if connection.dialect.name == "postgresql":
                connection.exec_driver_sql("SET session_replication_role = replica")
                for table in (
                    ("blocks",) if word == "archive" else ("audit_trail", "signed_records")
                ):
                    connection.exec_driver_sql(f"ALTER TABLE {table} DISABLE TRIGGER ALL")
            else:
                # The module's own transactions do not hold back what changes the schema.
                connection.exec_driver_sql("BEGIN")
                triggers = "SELECT name FROM sqlite_master WHERE type = 'trigger'"
                for (name,) in connection.exec_driver_sql(triggers).all():
                    connection.exec_driver_sql(f"DROP TRIGGER {name}")
            yield connection
            connection.rollback()
        own.dispose()

    def seen(self, word: str, connection: Connection) -> list[tuple[Where, What, int | None]]:
        """Return what a verification finds while an administrator's changes are there."""
        with (
            Store(self.database, create=False) as store,
            Tower(self.database, create=False) as tower,
        ):
            report = verification.verify(
                store.read if word == "tower" else lambda: nullcontext(Tables(connection)),
                tower.read if word == "archive" else lambda: nullcontext(connection),
                self.folder,
            )
        return [
            (finding.where, finding.what, row)
            for finding in report.findings
            for row in (
                [None]
                if finding.row is None
                else range(finding.row, (finding.last or finding.row) + 1)
            )
        ]

    def copy(self, folder: Path) -> Kept:
        """Return the same with a copy of the anchors, to do something to."""
        shutil.copytree(self.folder, folder)
        return Kept(self.database, folder, self.key, self.blocks, self.entries)


def deliver(database: str, blocks: list[bytes], tracker: str = "CT-1") -> None:
    with Store(database, create=False) as store:
        answers = intake.take(store, [Arrival(tracker, block) for block in blocks], NOW_MS)
    assert all(isinstance(answer, intake.Kept) for answer in answers)


def change(tower: Tower, number: int) -> None:
    with tower.write() as connection:
        trail.append(
            connection, ANA, CHANGE, SHIPMENT, {"n": number}, {"n": number + 1}, "so", NOW_MS
        )


def sign(tower: Tower, record: dict[str, int]) -> signatures.Signature:
    proof = Proof("ana", frozenset(["password", "totp"]))
    with tower.write() as connection:
        return signatures.sign(
            connection, ANA, KINDS["release"], SHIPMENT, record, "", proof, "s1", NOW_MS
        )


def keep(database: str, folder: Path) -> Kept:
    """Make everything: six blocks of two trackers, seven entries, two of them signatures."""
    kept = Kept(database, folder / "anchors", folder / "key.pem", 6, 7)
    with Store(database, create=True) as store, store.write() as tables:
        for tracker in ("CT-1", "CT-2"):
            tables.registry.add_tracker(tracker, test=True)
            tables.registry.add_key(tracker, 1, KeyPair(uplink(tracker), downlink(tracker)))
        tables.registry.add_key("CT-1", 2, KeyPair(b"2" * 31 + b"u", b"2" * 31 + b"d"))
        tables.registry.add_shipment(Shipment("S-1", "CT-1", None))
    one, two = Maker(), Maker(tracker="CT-2", chain=b"chain  2")
    deliver(database, [one.block(rows(2)), one.block(rows(2))])
    deliver(database, [two.block(rows(2))], "CT-2")
    with Tower(database, create=True) as tower:
        change(tower, 1)
        change(tower, 2)
        sign(tower, {"blocks": 3})
        kept.anchor()  # its entry is the fourth
        deliver(database, [two.block(rows(1))], "CT-2")
        # The payload does not even begin as a block.
        deliver(database, [sealed(b"\x01"), one.block(rows(3))])
        change(tower, 3)
        sign(tower, {"blocks": 6})
        change(tower, 4)
    kept.anchor()
    return kept


@contextmanager
def undone(connection: Connection) -> Iterator[None]:
    """Undo what is changed in the block."""
    connection.exec_driver_sql("SAVEPOINT tampered")
    yield
    connection.exec_driver_sql("ROLLBACK TO SAVEPOINT tampered")
