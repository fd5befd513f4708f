"""Every committed block is read exactly once, whoever commits beside whom and however it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from random import Random

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from coldtrail_gateway.ingest import intake
from coldtrail_gateway.ingest.intake import Arrival, Kept
from coldtrail_gateway.store import schema
from coldtrail_gateway.store.archive import Archive, Authentic
from coldtrail_gateway.store.database import Store, StoreError
from coldtrail_gateway.store.feed import START, Cursor, Feed, SetBackError
from coldtrail_gateway.store.registry import KeyPair
from tests.gateway import databases
from tests.gateway.databases import Server
from tests.support.blocks.blockmaker import Maker, downlink, rows, uplink
from tests.support.host import until

NOW_MS = 1_767_225_600_123
TRACKERS = [f"CT-{number}" for number in range(1, 9)]
OTHER = schema.trackers.c.id == "CT-8"
only_postgresql = pytest.mark.parametrize("database", ["postgresql"], indirect=True)


@pytest.fixture
def fleet(store: Store) -> Store:
    """A store that knows several trackers."""
    with store.write() as tables:
        for tracker in TRACKERS[1:]:
            tables.registry.add_tracker(tracker, test=True)
            tables.registry.add_key(tracker, 1, KeyPair(uplink(tracker), downlink(tracker)))
    return store


class Reader:
    """Reads a store to its end, time after time, as the read model does."""

    def __init__(self, store: Store) -> None:
        self._feed = Feed(store)
        self.cursor = START
        self.digests: list[bytes] = []

    def read(self, limit: int = 1000) -> int:
        """Take what there is up to the limit; return how many blocks."""
        rows, self.cursor = self._feed.news(self.cursor, limit)
        self.digests += [row.digest for _, row in rows]
        return len(rows)

    def read_all(self, store: Store) -> None:
        """Read until it has caught up."""
        until(lambda: not self.read() and not self._feed.behind(self.cursor).at_most)

    def waits_for(self) -> tuple[str, ...]:
        return self._feed.behind(self.cursor).awaited


def authentic(number: int, tracker: str) -> Authentic:
    """Return what need not verify here: a block of its own."""
    digest = number.to_bytes(32, "big")
    return Authentic(tracker, digest * 3, digest, 1, b"chain  1", number)


def add(connection: Connection, number: int, tracker: str) -> None:
    Archive(connection).add([authentic(number, tracker)], NOW_MS)


def committed(url: str) -> list[bytes]:
    """Return the digests of all blocks by their row numbers."""
    own = databases.engine(url)
    with own.connect() as connection:
        found = list(connection.scalars(sa.select(schema.blocks.c.digest).order_by("id")))
    own.dispose()
    return found


@pytest.fixture
def other(database: str) -> Iterator[sa.Engine]:
    """Connections of other gateways."""
    own = databases.engine(database)
    yield own
    own.dispose()


def test_blocks_come_in_order_with_their_trackers(fleet: Store) -> None:
    sent = []
    for tracker in TRACKERS:
        maker = Maker(tracker)
        sent += [(tracker, maker.block(rows(2))) for _ in range(3)]
    outcomes = intake.take(fleet, [Arrival(*each) for each in sent], NOW_MS)
    assert all(isinstance(outcome, Kept) for outcome in outcomes)
    feed, cursor, found = Feed(fleet), START, []
    while some := feed.news(cursor, 5)[0]:
        again, cursor = feed.news(cursor, 5)
        assert again == some
        assert len(some) <= 5
        found += some
    assert [(tracker, row.sealed) for tracker, row in found] == sent
    assert {row.received_ms for _, row in found} == {NOW_MS}
    assert feed.news(cursor, 5) == ([], cursor)


def test_how_far_behind_it_is_can_be_told(fleet: Store) -> None:
    feed = Feed(fleet)
    assert feed.behind(START).at_most == 0
    assert feed.behind(START).oldest_ms is None
    maker = Maker()
    for at in range(3):
        intake.take(fleet, [Arrival("CT-1", maker.block())], NOW_MS + at)
    _, cursor = feed.news(START, 1)
    told = feed.behind(cursor)
    assert (told.at_most, told.oldest_ms, told.awaited) == (2, NOW_MS + 1, ())


@only_postgresql
def test_a_cursor_by_number_alone_skips_what_is_committed_late(
    fleet: Store, other: sa.Engine
) -> None:
    """Two gateways commit in another order than they have numbered their rows."""
    reader, by_number, highest = Reader(fleet), list[bytes](), 0

    def read_by_number() -> None:
        nonlocal highest
        with fleet.read() as tables:
            found = tables.archive.after(highest, 2**31, 1000)
        by_number.extend(row.digest for _, row in found)
        highest = max([highest, *(row.id for _, row in found)])

    with other.connect() as first, other.connect() as second:
        add(first, 1, "CT-1")
        add(second, 2, "CT-2")
        second.commit()
        read_by_number()
        assert reader.read() == 0  # the other could not yet be told from what is settled
        assert reader.waits_for()
        first.commit()
        read_by_number()
    reader.read_all(fleet)
    one, two = (authentic(n, "").digest for n in (1, 2))
    assert by_number == [two]  # and never the other
    assert reader.digests == [one, two]


@only_postgresql
def test_what_is_settled_does_not_wait_for_what_begins_later(
    fleet: Store, other: sa.Engine
) -> None:
    """Under load there is no moment without an unfinished transaction."""
    reader, read = Reader(fleet), 0
    with ExitStack() as opened:
        before = opened.enter_context(other.connect())
        add(before, 1, TRACKERS[1])
        for number in range(2, 12):
            connection = opened.enter_context(other.connect())
            add(connection, number, TRACKERS[number % 2])
            reader.read()
            before.commit()
            reader.read()
            assert len(reader.digests) >= read
            read = number - 2
            before = connection
    assert len(reader.digests) >= 8


@only_postgresql
def test_nobody_elses_transaction_holds_it_up(
    fleet: Store, other: sa.Engine, postgresql_server: str
) -> None:
    """Neither one that writes to another table, nor one in another database."""
    elsewhere = databases.engine(databases.create(postgresql_server))
    with other.connect() as neighbour, elsewhere.connect() as stranger:
        neighbour.execute(sa.update(schema.trackers).values(last_seen_ms=1).where(OTHER))
        stranger.exec_driver_sql("CREATE TABLE blocks (id int)")
        stranger.exec_driver_sql("INSERT INTO blocks VALUES (1)")
        with other.connect() as gateway:
            add(gateway, 1, "CT-1")
            gateway.commit()
        assert Reader(fleet).read() == 1
    elsewhere.dispose()


@only_postgresql
def test_a_reader_that_begins_anew_goes_on_behind_its_cursor(
    fleet: Store, other: sa.Engine
) -> None:
    with other.connect() as first, other.connect() as second:
        add(first, 1, "CT-1")
        add(second, 2, "CT-2")
        second.commit()
        assert Feed(fleet).news(START, 10) == ([], START)
        first.commit()
    found, cursor = Feed(fleet).news(START, 1)
    rest, _ = Feed(fleet).news(cursor, 10)
    assert [row.number for _, row in found + rest] == [1, 2]


@pytest.mark.parametrize("seed", range(5))
@only_postgresql
def test_random_interleavings(fleet: Store, other: sa.Engine, database: str, seed: int) -> None:
    """Transactions begin, insert, go back to a savepoint, commit, roll back; readers read."""
    random = Random(seed)
    readers = [Reader(fleet) for _ in range(2)]
    number = 0
    with ExitStack() as opened:
        idle = [opened.enter_context(other.connect()) for _ in range(len(TRACKERS))]
        own = dict(zip(map(id, idle), TRACKERS, strict=True))
        busy: list[Connection] = []
        for _ in range(400):
            step = random.random()
            if step < 0.3 and idle:
                connection = idle.pop(random.randrange(len(idle)))
                busy.append(connection)
                number += 1
                add(connection, number, own[id(connection)])
            elif step < 0.4 and busy:
                connection = random.choice(busy)
                number += 1
                add(connection, number, own[id(connection)])
            elif step < 0.45 and busy:
                connection = random.choice(busy)
                number += 1
                with connection.begin_nested() as savepoint:
                    add(connection, number, own[id(connection)])
                    savepoint.rollback()
            elif step < 0.7 and busy:
                connection = busy.pop(random.randrange(len(busy)))
                end = connection.rollback if random.random() < 0.2 else connection.commit
                end()
                idle.append(connection)
            elif step < 0.75:
                readers.append(Reader(fleet))
                readers[-1].cursor = readers[0].cursor
                readers[-1].digests = list(readers[0].digests)
            else:
                random.choice(readers).read(random.choice((1, 2, 100)))
        for connection in busy:
            connection.commit()
    everything = committed(database)
    assert len(everything) > 40
    for reader in readers:
        reader.read_all(fleet)
        assert reader.digests == everything


@only_postgresql
def test_writers_that_are_killed(fleet: Store, database: str) -> None:
    """Several gateways at full speed, SIGKILLed and started again, while the reader reads."""
    reader = Reader(fleet)

    def start(seed: int) -> subprocess.Popen[bytes]:
        program = [sys.executable, "-m", "tests.gateway.store.writer", database, str(seed)]
        return subprocess.Popen(program)

    writers = [start(seed) for seed in range(3)]
    try:
        for round_ in range(3, 9):
            want = len(reader.digests) + 300
            until(lambda: reader.read() >= 0 and len(reader.digests) >= want)  # noqa: B023
            victim = writers.pop(0)
            os.kill(victim.pid, signal.SIGKILL)
            victim.wait()
            writers.append(start(round_))
    finally:
        for each in writers:
            each.kill()
            each.wait()
    reader.read_all(fleet)
    everything = committed(database)
    assert reader.digests == everything


@pytest.fixture
def two_phase() -> Iterator[str]:
    """A server that takes prepared transactions."""
    programs = databases.programs()
    if programs is None:
        pytest.skip(databases.MISSING)
    with databases.postgresql(programs, "max_prepared_transactions=4") as server:
        yield server.url


def test_a_prepared_transaction_is_waited_for_and_told(two_phase: str) -> None:
    """It outlives its connection."""
    with Store(two_phase, create=True) as store:
        with store.write() as tables:
            for tracker in ("CT-1", "CT-2"):
                tables.registry.add_tracker(tracker, test=True)
        own, reader = databases.engine(two_phase), Reader(store)
        with own.connect() as first, own.connect() as second:
            add(first, 1, "CT-1")
            add(second, 2, "CT-2")
            second.commit()
            assert reader.read() == 0
            assert reader.waits_for()[0].startswith("the server's process ")
            first.exec_driver_sql("PREPARE TRANSACTION 'late'")
            assert reader.read() == 0
            assert reader.waits_for() == ("a prepared transaction",)
            with own.connect().execution_options(isolation_level="AUTOCOMMIT") as third:
                third.exec_driver_sql("COMMIT PREPARED 'late'")
        assert reader.read() == 2
        own.dispose()


def test_an_archive_that_was_set_back_is_noticed(fleet: Store, database: str) -> None:
    intake.take(fleet, [Arrival("CT-1", Maker().block())], NOW_MS)
    feed = Feed(fleet)
    _, cursor = feed.news(START, 10)
    for other_archive in (Cursor(cursor.id, bytes(32)), Cursor(cursor.id + 1, cursor.digest)):
        with pytest.raises(SetBackError, match="has been set back or exchanged"):
            feed.news(other_archive, 10)
    assert feed.news(cursor, 10) == ([], cursor)


@pytest.fixture
def server() -> Iterator[Server]:
    """A server of the test's own, to be stopped."""
    programs = databases.programs()
    if programs is None:
        pytest.skip(databases.MISSING)
    with databases.postgresql(programs) as running:
        yield running


def test_a_server_that_was_restarted_is_asked_anew(server: Server) -> None:
    """Names of transactions hold for one life of a server."""
    with Store(server.url, create=True) as store:
        with store.write() as tables:
            for tracker in ("CT-1", "CT-2"):
                tables.registry.add_tracker(tracker, test=True)
        own, reader = databases.engine(server.url), Reader(store)
        with own.connect() as first, own.connect() as second:
            add(first, 1, "CT-1")
            add(second, 2, "CT-2")
            second.commit()
            assert reader.read() == 0
            server.stop_at_once()
            first.invalidate()
            second.invalidate()
        server.start()
        assert reader.read() == 1  # the unfinished one has gone with the server
        assert reader.waits_for() == ()
        own.dispose()


def test_a_standby_is_refused(server: Server) -> None:
    """Nobody can see there who is about to commit."""
    Store(server.url, create=True).close()
    server.stop_at_once()
    server.start_as_standby()
    with (
        Store(server.url, create=False) as store,
        pytest.raises(StoreError, match="is a standby, .* name its primary"),
    ):
        Feed(store).news(START, 10)
