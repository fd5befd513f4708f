"""Runs shipments for the tests of journeys and reads their results."""

import contextlib
import sqlite3
from pathlib import Path
from typing import Any

import cbor2

from coldtrail_simulator.report.report import Evidence
from coldtrail_simulator.shipment.shipment import Shipment, run
from coldtrail_simulator.world import scenario
from tests.support.blocks import cddl, read_model
from tests.support.references import totals


def travel(name: str, seed: int, out: Path) -> Shipment:
    """Run a shipped scenario."""
    return run(scenario.load(name), seed, out)


def travel_for(name: str, hours: float, seed: int, out: Path) -> Shipment:
    """Run the first hours of a shipped scenario."""
    story = scenario.load(name)
    header = story.scenario.model_copy(update={"duration_h": hours})
    return run(story.model_copy(update={"scenario": header}), seed, out)


def evidence(shipment: Shipment) -> Evidence:
    """Export and verify with the gateway's own commands.

    Also checks that every block follows the contract, that the tracker's alarms and totals follow
    from its samples, and that the gateway's read model says the same in whatever order it is made.
    """
    blocks = sealed_blocks(shipment)
    for sealed in blocks:
        assert cddl.is_valid("sealed", sealed), sealed.hex()
        payload = cbor2.loads(sealed).value[2]
        assert cddl.is_valid("block", payload), payload.hex()
    totals.check(shipment, blocks)
    read_model.check(shipment.database)
    return Evidence(shipment)


def sealed_blocks(shipment: Shipment) -> list[bytes]:
    """Return the sealed bytes in the archive, in the order of their numbers."""
    with contextlib.closing(sqlite3.connect(shipment.database)) as database:
        rows = database.execute("SELECT sealed FROM blocks ORDER BY chain, number, id")
        return [bytes(sealed) for (sealed,) in rows]


def events(shipment: Shipment) -> list[list[Any]]:
    """Return all events in the order of the log; checks that every block follows the contract."""
    found = []
    for sealed in sealed_blocks(shipment):
        payload = cbor2.loads(sealed).value[2]
        assert cddl.is_valid("block", payload), payload.hex()
        found += cbor2.loads(payload).get(9, [])
    return found
