"""How both databases carry out every statement beside a large archive: none reads it through."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, Final

import pytest
import sqlalchemy as sa

from coldtrail_gateway.contract.command import Action
from coldtrail_gateway.ingest import intake
from coldtrail_gateway.ingest.intake import Arrival, Kept
from coldtrail_gateway.store import schema
from coldtrail_gateway.store.archive import Archive, Authentic
from coldtrail_gateway.store.commands import Commands
from coldtrail_gateway.store.database import Store
from coldtrail_gateway.store.quarantine import Quarantine, Quarantined
from coldtrail_gateway.store.registry import KeyPair, Registry, Shipment
from coldtrail_gateway.store.tables import Tables
from tests.gateway import databases, large
from tests.support.blocks.blockmaker import Maker, rows, uplink
from tests.support.extent import slice_or_all

BLOCKS: Final = slice_or_all(50_000, 1_000_000)
NAMES: Final = [large.name(number) for number in range(0, large.TRACKERS, 100)]
NOW_MS: Final = large.NOW_MS

Statement = tuple[str, Any]


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def archive(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """URL of a large archive."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path_factory.mktemp('large')}/gateway.db"
    else:
        url = databases.create(request.getfixturevalue("postgresql_server"))
    large.fill(url, BLOCKS)
    return url


def arrivals(number: int) -> list[Arrival]:
    """Return the next block of many trackers, some twice, and junk."""
    found = []
    for name in NAMES:
        maker = Maker(name, chain=large.CHAIN, number=BLOCKS // large.TRACKERS + number - 1)
        found.append(Arrival(name, maker.block(rows(1))))
    return [*found, *found[:3], Arrival("x", b"junk")]


def authentic(tracker: str, digest: bytes, number: int | None) -> Authentic:
    chain = None if number is None else large.CHAIN
    return Authentic(tracker, digest * 2, digest, 1, chain, number)


def calls(tables: Tables) -> dict[Callable[..., Any], Callable[[], Any]]:
    """Return how every public function of the tables is called, but for those that need all."""
    registry, archived = tables.registry, tables.archive
    commands, junk = tables.commands, tables.quarantine
    odd = [authentic(NAMES[0], b"\1" * 32, None), authentic(NAMES[0], b"\2" * 32, 2**31)]
    made = commands.of(NAMES[0])[-1]
    return {
        Registry.tracker: lambda: registry.tracker(NAMES[0]),
        Registry.named: lambda: registry.named(NAMES),
        Registry.lock: lambda: registry.lock(NAMES),
        Registry.keys: lambda: registry.keys(NAMES),
        Registry.lock_keys: registry.lock_keys,
        Registry.holders: lambda: registry.holders([uplink(name) for name in NAMES]),
        Registry.add_tracker: lambda: registry.add_tracker("CT-1", test=True),
        Registry.add_key: lambda: registry.add_key("CT-1", 1, KeyPair(b"1" * 32, b"2" * 32)),
        Registry.add_shipment: lambda: registry.add_shipment(Shipment("S-1", "CT-1", None)),
        Registry.shipments: lambda: registry.shipments(["S-1", "S-2"]),
        Registry.shipment: lambda: registry.shipment("S-1"),
        Archive.add: lambda: [archived.add(odd, NOW_MS) for _ in range(2)],
        Archive.state: lambda: [archived.state(NAMES[0], c) for c in (large.CHAIN, b"with gap")],
        Archive.of: lambda: list(archived.of(NAMES[0])),
        Archive.rows: lambda: archived.rows([1000, 1001]),
        Archive.repeated: lambda: list(archived.repeated(NAMES[0])),
        Archive.after: lambda: archived.after(1000, BLOCKS, 100),
        Archive.stored: lambda: archived.stored(1000, 100),
        Archive.digest: lambda: archived.digest(1000),
        Archive.received_ms: lambda: archived.received_ms(1000),
        Archive.newest: archived.newest,
        Archive.writers: archived.writers,
        Commands.add: lambda: commands.add(NAMES[0], [Action.REBOOT.value], NOW_MS, 3600),
        Commands.of: lambda: commands.of(NAMES[0]),
        Commands.due: lambda: commands.due(NOW_MS // 1000),
        Commands.awaited: lambda: commands.awaited(NAMES),
        Commands.sent: lambda: commands.sent(made, NOW_MS),
        Commands.tell: lambda: [
            told(NAMES[0], made.counter, outcome, None, NOW_MS)
            for told in (commands.tell,)
            for outcome in (0, 1)
        ],
        Commands.cancel: lambda: commands.cancel(made, NOW_MS),
        Quarantine.add: lambda: junk.add(
            [Quarantined(f"T{n}", n > 1100, "r", "r", b"") for n in range(1200)], NOW_MS
        ),
    }


# What looks at every row, and why it may.
OF_ALL: Final = {
    Registry.trackers: "a list of the fleet, asked for by people",
    Commands.states: "the state of every command, asked for by people",
    Commands.trackers: "the fleet, once a connection to a broker",
    Archive.rebuild: "once at the start",
    Quarantine.refused: "a row for each reason there is",
}


@pytest.fixture
def statements() -> Iterator[list[Statement]]:
    """Collect what every engine is told to execute, with the parameters of its first row."""
    found: list[Statement] = []

    def collect(_c: Any, _cursor: Any, statement: str, given: Any, _x: Any, many: bool) -> None:
        found.append((statement, given[0] if isinstance(given, list) else given))

    sa.event.listen(sa.Engine, "before_cursor_execute", collect)
    yield found
    sa.event.remove(sa.Engine, "before_cursor_execute", collect)


GROWING: Final = {"blocks", "repeats", "kept", "commands"}


def scanned(url: str, statement: str, parameters: Any) -> set[str]:
    """Return the tables that a statement would read from end to end."""
    own = databases.engine(url)
    try:
        with own.connect() as connection:
            if connection.dialect.name == "sqlite":
                plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
                scans = {found[1] for row in plan if (found := _SCAN.match(row[3]))}
                return scans & schema.metadata.tables.keys()
            explain = f"EXPLAIN (FORMAT JSON) {statement}"
            (plan,) = connection.exec_driver_sql(explain, parameters).one()
            tables = set(_read_through(plan[0]["Plan"]))
            if tables - GROWING:
                # It reads a table of a few pages through because that is quicker; where it could
                # not do otherwise, it does so even when it should not.
                connection.exec_driver_sql("SET enable_seqscan = off")
                (plan,) = connection.exec_driver_sql(explain, parameters).one()
                tables = tables & GROWING | set(_read_through(plan[0]["Plan"]))
            return tables
    finally:
        own.dispose()


_SCAN: Final = re.compile(r"SCAN (?!CONSTANT|\d)(\w+)")


def _read_through(node: dict[str, Any]) -> Iterator[str]:
    kind = node["Node Type"]
    if kind == "Seq Scan" or ("Index" in kind and "Index Cond" not in node):
        yield node.get("Relation Name") or node["Index Name"]
    for inner in node.get("Plans", ()):
        yield from _read_through(inner)


def test_every_function_of_the_tables_is_looked_at(store: Store) -> None:
    public = {
        function
        for table in (Registry, Archive, Commands, Quarantine)
        for name, function in vars(table).items()
        if callable(function) and not name.startswith("_")
    }
    with store.write() as tables:
        tables.registry.add_tracker(NAMES[0], test=True)
        tables.commands.add(NAMES[0], [Action.REBOOT.value], NOW_MS, 3600)
        assert public == calls(tables).keys() | OF_ALL.keys()


def test_no_statement_reads_a_table_through(archive: str, statements: list[Statement]) -> None:
    with Store(archive, create=False) as store:
        # A tracker that comes again, and one that has told of a command.
        for number in (1, 1, 2):
            outcomes = intake.take(store, arrivals(number), NOW_MS)
            assert all(isinstance(outcome, Kept) for outcome in outcomes[:-1])
        with store.write() as tables:
            for call in calls(tables).values():
                call()
    asked = {statement: given for statement, given in statements if _has_plan(statement)}
    assert len(asked) > 25
    found = {s[:300]: t for s, given in asked.items() if (t := scanned(archive, s, given))}
    assert found == {}


def test_a_list_of_the_fleet_reads_no_blocks_and_no_commands(
    archive: str, statements: list[Statement]
) -> None:
    with Store(archive, create=False) as store, store.read() as tables:
        assert len(tables.registry.trackers()) >= large.TRACKERS
        assert len(tables.commands.trackers()) == large.TRACKERS
    asked = {statement: given for statement, given in statements if _has_plan(statement)}
    for statement, given in asked.items():
        assert not scanned(archive, statement, given) & GROWING


_OURS: Final = "trackers|keys|shipments|blocks|repeats|kept|commands|quarantine|refused"


def _has_plan(statement: str) -> bool:
    """Tell whether a statement reads or writes a table of ours."""
    kind = re.match(r"(SELECT|INSERT|UPDATE|DELETE)\b", statement)
    return bool(kind and re.search(rf"\b(FROM|INTO|UPDATE) ({_OURS})\b", statement))
