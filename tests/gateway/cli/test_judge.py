"""The judge as its user runs it: it keeps the read model, one at a time, and may be killed."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from coldtrail_gateway.ingest import intake
from coldtrail_gateway.ingest.intake import Arrival
from coldtrail_gateway.readings import canonical, keeper, progress, tables
from coldtrail_gateway.store.database import Store
from coldtrail_gateway.store.feed import Behind, Feed
from coldtrail_gateway.store.tower.database import Tower
from coldtrail_simulator.services.process import Process
from tests.gateway.running import coldtrail, registration
from tests.support.blocks.blockmaker import BOOT_EVENT, Maker, rows
from tests.support.blocks.journey import rough_journey
from tests.support.host import until

NOW_MS = 1_767_225_600_123
NONE = Behind(0, None, ())


def deliver(store: Store, *blocks: bytes) -> None:
    intake.take(store, [Arrival("CT-1", block) for block in blocks], NOW_MS)


def behind(store: Store, database: str) -> Behind:
    with Tower(database, create=True) as tower, tower.read() as connection:
        here = progress.read(connection)
    return Feed(store).behind(here)


def shown(database: str) -> Any:
    """Return all that the read model says, whatever numbers it gives by itself."""
    with Tower(database, create=True) as tower, tower.read() as connection:
        return {
            name: canonical.of_tracker(connection, name) for name in canonical.trackers(connection)
        }


@contextmanager
def judge(database: str, log: Path, *options: str) -> Iterator[Process]:
    """Run a judge; what it says is in `log`."""
    words = [sys.executable, "-m", "coldtrail_gateway", "judge", "--db", database, *options]
    process = Process("judge", words, log)
    try:
        yield process
    finally:
        if process.running:
            process.kill()


def test_it_reads_what_is_there_and_what_comes_until_it_is_told_to_stop(
    store: Store, database: str, tmp_path: Path
) -> None:
    maker = Maker()
    deliver(store, maker.block(rows(3), [BOOT_EVENT]))
    log = tmp_path / "judge.log"
    with judge(database, log) as process:
        until(lambda: "up to date" in log.read_text(), process.output)
        assert behind(store, database) == NONE
        deliver(store, maker.block(rows(3, start=900)))
        until(lambda: behind(store, database) == NONE, process.output)
        os.kill(process._child.pid, signal.SIGTERM)
        assert process._child.wait() == 0
    assert log.read_text().endswith("stopped\n")


def test_one_judge_keeps_a_read_model(store: Store, database: str, tmp_path: Path) -> None:
    log = tmp_path / "judge.log"
    with judge(database, log) as process:
        until(lambda: "up to date" in log.read_text(), process.output)
        for command in ("judge", "rebuild"):
            second = coldtrail("gateway", command, "--db", database, check=False)
            assert second.returncode == 2
            assert "Another process keeps the read model" in second.stderr
            assert second.stderr.count("\n") == 1
        # Who asks a question waits for this judge.
        deliver(store, Maker().block(rows(3)))
        with Tower(database, create=False) as tower:
            assert keeper.catch_up(store, tower, limit_s=600) == NONE


@pytest.mark.slow
def test_who_is_not_told_everything_is_told_so(store: Store, database: str) -> None:
    """Somebody else keeps the read model, and does not get on."""
    deliver(store, Maker().block(rows(3)))
    with Tower(database, create=True) as tower, tower.keeping() as is_ours:
        assert is_ours
        told = coldtrail("gateway", "status", "--db", database)
    assert told.stderr == (
        "Warning: what follows is up to 1 blocks behind the archive, the oldest of "
        "2026-01-01T00:00:00.123Z. Let coldtrail gateway judge keep it up to date.\n"
    )
    told = coldtrail("gateway", "status", "--db", database)
    assert told.stderr == ""


def test_rebuild_finds_it_equal_and_exchanges_what_is_wrong(store: Store, database: str) -> None:
    deliver(store, *rough_journey())
    first = coldtrail("gateway", "rebuild", "--db", database)
    assert first.stdout.startswith("equal: blocks read anew: ")
    right = shown(database)
    wrong = sa.update(tables.samples).values(payload=tables.samples.c.payload + 1)
    with Tower(database, create=False) as tower, tower.write() as connection:
        connection.execute(wrong)
    second = coldtrail("gateway", "rebuild", "--db", database, check=False)
    assert second.returncode == 1
    assert "tracker CT-1, table samples: " in second.stdout
    assert second.stdout.splitlines()[-1].startswith("exchanged: ")
    assert shown(database) == right
    assert coldtrail("gateway", "rebuild", "--db", database).stdout == first.stdout


def test_an_archive_that_was_exchanged_is_noticed_and_read_anew(tmp_path: Path) -> None:
    places = [tmp_path / "gateway.db", tmp_path / "other.db"]
    for number, place in enumerate(places):
        coldtrail("gateway", "register", registration(tmp_path), "--db", place)
        with Store(place, create=False) as store:
            deliver(store, Maker(chain=b"chain %2d" % number).block(rows(3)))
    coldtrail("gateway", "status", "--db", places[0])
    places[1].replace(places[0])
    for command in ("status", "judge"):
        refused = coldtrail("gateway", command, "--db", places[0], check=False)
        assert refused.returncode == 2
        assert "has been set back or exchanged" in refused.stderr
        assert "(coldtrail gateway rebuild)" in refused.stderr
    anew = coldtrail("gateway", "rebuild", "--db", places[0], check=False)
    assert anew.returncode == 1
    assert anew.stdout.startswith("it was made from another archive")
    again = coldtrail("gateway", "rebuild", "--db", places[0])
    assert (
        again.stdout == "equal: blocks read anew: 1; the read model that was here says the same\n"
    )


def is_up_to_date(process: Process) -> bool:
    return "up to date" in process.output()


def test_each_day_it_makes_an_anchor(store: Store, database: str, tmp_path: Path) -> None:
    deliver(store, Maker().block(rows(3), [BOOT_EVENT]))
    folder, key = tmp_path / "anchors", tmp_path / "key.pem"
    words = ["--anchors", str(folder), "--key", str(key)]
    for run in range(2):  # the second finds that of today
        with judge(database, tmp_path / f"judge-{run}.log", *words) as process:
            until(partial(is_up_to_date, process), process.output)
            until((folder / "anchor-000001.json").exists, process.output)
            os.kill(process._child.pid, signal.SIGTERM)
            assert process._child.wait() == 0
    assert [path.name for path in sorted(folder.glob("*.json"))] == ["anchor-000001.json"]
    coldtrail("gateway", "audit", "verify", "--anchors", str(folder), "--db", database)


def test_an_anchor_that_cannot_be_made_stops_nothing(
    store: Store, database: str, tmp_path: Path
) -> None:
    log, file = tmp_path / "judge.log", tmp_path / "file"
    file.write_text("no folder")
    words = ["--anchors", str(file / "anchors"), "--key", str(tmp_path / "key.pem")]
    with judge(database, log, *words) as process:
        until(lambda: "WARNING The daily anchor: " in log.read_text(), process.output)
        deliver(store, Maker().block(rows(3)))
        until(lambda: behind(store, database) == NONE, process.output)
