"""Runs the projection in a child that is killed at one statement after the other (SIGKILL).

Prints how many statements a whole run has; ends with 1 where a read model that was interrupted and
taken up again differs from one that was not.
"""

from __future__ import annotations

import os
import signal
import sys
from itertools import count
from pathlib import Path

import sqlalchemy as sa

from coldtrail_gateway.readings import rebuild
from coldtrail_gateway.readings.projection import Projection
from coldtrail_gateway.store.database import Store
from coldtrail_gateway.store.tower.database import Tower

BATCH = 4


def run(archive: str, tower: str | Path) -> None:
    with Store(archive, create=False) as store, Tower(tower, create=True) as opened:
        Projection(store, opened).run(BATCH)


def killed_at(statement: int, archive: str, tower: str | Path) -> bool:
    """Run it in a child that ends before a statement; tell whether it came so far."""
    child = os.fork()
    if not child:
        numbers = count()

        def meet(*_: object) -> None:
            if next(numbers) == statement:
                os.kill(os.getpid(), signal.SIGKILL)

        sa.event.listen(sa.Engine, "before_cursor_execute", meet)
        sa.event.listen(sa.Engine, "commit", meet)
        run(archive, tower)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if os.WIFEXITED(status) and os.WEXITSTATUS(status):
        raise SystemExit(f"it failed by itself: {status}")
    return os.WIFSIGNALED(status)


def main(archive: str, folder: str, start: int, step: int, *towers: str) -> None:
    whole = Path(folder) / "whole.db"
    run(archive, whole)
    for number in count(start, step):
        # On PostgreSQL the tower lies in the archive's database, and is emptied before each run.
        tower: str | Path = towers[0] if towers else Path(folder) / f"{number}.db"
        if towers:
            with Tower(tower, create=True) as opened, opened.write() as connection:
                rebuild.empty(connection)
        interrupted = killed_at(number, archive, tower)
        run(archive, tower)
        with Tower(tower, create=False) as kept, Tower(whole, create=False) as made:
            if found := list(rebuild.between(kept, made)):
                raise SystemExit(f"killed at statement {number}: {found}")
        if not interrupted:
            sys.stdout.write(f"{number}\n")
            return


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), *sys.argv[5:])
