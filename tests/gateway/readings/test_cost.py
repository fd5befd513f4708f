"""What a block costs does not depend on how long the shipment is: counted in SQLite's own steps.

A step is an instruction of SQLite's virtual machine, so that no load of the host shows here.
"""

from __future__ import annotations

from itertools import count
from typing import Any

import pytest

from coldtrail_gateway.evidence.archive import Entry
from coldtrail_gateway.readings.batch import Batch
from tests.support.blocks.blockmaker import BOOT_EVENT, Maker, rows
from tests.support.blocks.read_model import Model, archived

START = 1_767_225_600
SHORT, LONG = 30, 900

Entries = list[tuple[str, Entry]]


def shipment(blocks: int) -> Entries:
    """Return a shipment of hourly blocks with a clock sync and now and then an alarm."""
    maker = Maker()
    kept = []
    for hour in range(blocks):
        t = 3600 * hour
        events: list[tuple[Any, ...]] = [(4, t + 3590, 0, START + t + 3590, 0, 1500, 1)]
        if hour == 0:
            events.insert(0, BOOT_EVENT)
        if hour % 10 == 5:
            events += [(5, t, 1, 2, 0, 3, 800, 600, 812, 650), (6, t, 1, 1, 801, 830, 1250)]
        kept.append(("CT-1", maker.block(rows(12, start=t), events), 1000 * (START + t + 3600)))
    return archived(kept)


def steps(model: Model, entries: Entries, last: tuple[str, Entry]) -> int:
    """Return how many steps it takes to take in one block after the others."""
    model.clear()
    model.fill([entries])
    again = {entry.row.id: entry for _, entry in (*entries, last)}
    taken = count()
    with model.tower.write() as connection:
        raw: Any = connection.connection.driver_connection
        raw.set_progress_handler(lambda: next(taken) and None, 10)
        Batch(connection, lambda ids: {i: again[i] for i in ids}, lambda *_: None).take([last])
        raw.set_progress_handler(None, 0)
    return 10 * next(taken)


@pytest.mark.parametrize("back", [1, 7], ids=["the next block", "a late block"])
def test_it_is_the_same_for_a_month_as_for_a_day(model: Model, back: int) -> None:
    short, long = shipment(SHORT), shipment(LONG)
    cheap = steps(model, [*short[:-back], *short[SHORT - back + 1 :]], short[-back])
    dear = steps(model, [*long[:-back], *long[LONG - back + 1 :]], long[-back])
    assert cheap > 1000
    assert dear < 1.25 * cheap
