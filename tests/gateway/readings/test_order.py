"""The read model is a function of the blocks: not of the order they are taken in, nor of batches.

What did arrive first, and when, is part of the archive and stays as it is: which of two chains is
the newer one, which of two blocks with one number came first, and how late a block was.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from coldtrail_gateway.evidence import findings as evidence
from coldtrail_gateway.evidence.archive import Entry
from coldtrail_gateway.evidence.findings import Name
from coldtrail_gateway.readings import findings, overview
from coldtrail_gateway.shipments import history
from tests.gateway.readings.scenes import cuts, scene
from tests.support.blocks.blockmaker import BOOT_EVENT, Maker, rows
from tests.support.blocks.read_model import Model, archived

Entries = list[tuple[str, Entry]]

OF_TIME = {Name.CLOCK_SYNC_REFUSED, Name.TIME_IN_DOUBT, Name.TIME_UNCHECKED}

chances = st.randoms(use_true_random=False)


def filled(model: Model, batches: Sequence[Entries]) -> dict[str, Any]:
    model.clear()
    model.fill(batches)
    return model.shown()


def shuffled(rng: random.Random, entries: Entries) -> list[Entries]:
    other = list(entries)
    rng.shuffle(other)
    return cuts(rng, other)


@given(chances)
@settings(max_examples=60)
def test_any_order_and_any_batches_make_the_same_tables(model: Model, rng: random.Random) -> None:
    entries = archived(scene(rng))
    at_once = filled(model, [entries])
    assert filled(model, shuffled(rng, entries)) == at_once
    assert filled(model, cuts(rng, entries)) == at_once


@given(chances)
@settings(max_examples=5)
def test_on_postgresql_too(model: Model, postgresql_model: Model, rng: random.Random) -> None:
    entries = archived(scene(rng))
    at_once = filled(model, [entries])
    assert filled(postgresql_model, shuffled(rng, entries)) == at_once


@given(chances)
@settings(max_examples=40)
def test_it_says_what_all_blocks_together_say(model: Model, rng: random.Random) -> None:
    """Compared with what `shipments.history` computes of all blocks of a tracker at once."""
    entries = archived(scene(rng))
    filled(model, shuffled(rng, entries))
    for tracker in {tracker for tracker, _ in entries}:
        own = [entry for name, entry in entries if name == tracker]
        for shipment in ("S-1", "S-2"):
            told = history.assemble(own, tracker, shipment)
            model.check(told)
        judged = [f for f in evidence.judge(own).findings if f.name is not Name.REPLAYED]
        with model.tower.read() as connection:
            found = [f for f in findings.of(connection, tracker) if f.name not in OF_TIME]
        assert sorted(map(str, found)) == sorted(map(str, judged))


def test_a_block_may_show_that_another_chain_is_the_newer_one(model: Model) -> None:
    """A block of S-2, that is taken in last, says which of two blocks of S-1 is the newer."""
    old, new = Maker(chain=b"chain  1", shipment="S-2"), Maker(chain=b"chain  2")
    first = old.block(rows(1), [BOOT_EVENT])
    second = new.block(rows(1, value=200), [BOOT_EVENT])
    third = old.block(rows(1, start=300))
    old.shipment = "S-1"
    fourth = old.block(rows(1, start=600, value=300))
    entries = archived([("CT-1", block, 0) for block in (first, second, third, fourth)])
    at_once = filled(model, [entries])
    assert filled(model, [entries[1:], entries[:1]]) == at_once
    with model.tower.read() as connection:
        (shown,) = overview.of_all(connection)
    assert (shown.shipment, shown.payload) == ("S-1", 200)


def test_these_trackers_meet_everything() -> None:
    """A generator that leaves something out would prove nothing about it."""
    met: set[Name] = set()
    for seed in range(60):
        rng = random.Random(seed)
        entries = archived(scene(rng))
        for tracker in ("CT-1", "CT-2"):
            own = [entry for name, entry in entries if name == tracker]
            for shipment in ("S-1", "S-2"):
                told = history.assemble(own, tracker, shipment)
                met |= {finding.name for finding in told.findings}
    # These need bytes that came again, a key that is not registered, an archive that was changed.
    beyond = {Name.REPLAYED, Name.UNVERIFIED, Name.DAMAGED, Name.UNREAD}
    assert met == set(Name) - beyond
