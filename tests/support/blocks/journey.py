"""Shipments with all kinds of records, for the tests of the exports."""

from __future__ import annotations

import hashlib

from coldtrail_gateway.contract import block
from coldtrail_gateway.contract.envelope import parse
from coldtrail_gateway.evidence.archive import Entry
from coldtrail_gateway.shipments import history
from coldtrail_gateway.shipments.history import History
from coldtrail_gateway.store.archive import Archived
from tests.support.blocks.blockmaker import BOOT_EVENT, Maker, Row, rows

START = 1_767_225_600  # 2026-01-01
ARRIVAL_MS = (START + 100 * 86_400) * 1000
SYNC = (0, 0, START, 0, 500, 1)
OPEN = 3  # status: the probe is open


def told(*blocks: bytes, shipment: str = "S-1") -> History:
    """Return the history that results from these blocks in this order of arrival."""
    return history.assemble(entries(*blocks), "CT-1", shipment)


def entries(*blocks: bytes) -> list[Entry]:
    """Return the archive's entries for these blocks in this order of arrival."""
    return [_entry(row, sealed) for row, sealed in enumerate(blocks)]


def _entry(row: int, sealed: bytes) -> Entry:
    payload = parse(sealed).payload
    head = block.read_head(payload)
    digest = hashlib.sha256(sealed).digest()
    archived = Archived(row, sealed, digest, 1, ARRIVAL_MS, head.chain, head.number, 0, None)
    return Entry(archived, head, block.decode(payload))


def journey(maker: Maker | None = None) -> list[bytes]:
    """Return three blocks with all channels, a position, an alarm's start and end, and a fault."""
    maker = maker or Maker()
    first: list[Row] = [
        (0, 0, (-19613, 2000, 450, 0, 3921, -12, 31, 996)),
        (300, 0, (-19600, 2001, 451, 7, 3921, -16_000_000, 0, 16_000_000)),
        (600, OPEN, (None, 2002, 449, 8, 3920, 1, 2, 3)),
    ]
    position = (2, 400, 52_123_456, -1, 12, 1)
    alarm = (5, 900, 2, 2, 0, 3, 800, 600, 812, 650)
    fault = (13, 600, 0, OPEN, 1)
    nothing: list[Row] = [(1800, 0xFFFFF, (None,) * 8)]
    return [
        maker.block(first, [BOOT_EVENT, position, fault], SYNC),
        maker.block(rows(3, start=900, value=812), [alarm, (6, 1500, 2, 1, 801, 830, 1250)]),
        maker.block(nothing),
    ]


CALIBRATION = (16, 0, 0, "PT/1", "DKD 17", START - 9000, START + 450, ((-8000, 4), (800, -2)))


def rough_journey() -> list[bytes]:
    """Return blocks of a tracker, calibrated before the shipment, whose box is dropped.

    The calibration of the probe is due between the first sample and the second.
    """
    maker = Maker(shipment=None)
    packed = maker.block([], [BOOT_EVENT, CALIBRATION], SYNC)
    maker.shipment = "S-1"
    samples: list[Row] = [
        (300, 0, (500, 2000, 450, 0, 3921, -12, 31, 996)),
        (600, 1 << 20, (501, 2000, 450, 0, 3921, -12, 31, 996)),
    ]
    events = [
        (14, 701, -214, 8120, 1033),
        (15, 702, 310),
        (5, 703, 7, 1, 8, 3, 6000, 0, 8120, 0),
        (6, 703, 7, 1, 8120, 8120, 0),
        (19, 720, 234, 15, 4660, 27447297, 1, -97),
        (18, 721, 3, 1, 0, 0, 0, 2),
        (17, 730, 1_767_225_700_000, 2, 0),
        (17, 731, 1_767_225_700_000, 2, 1, "seen"),
        (20, 740, 1),
    ]
    return [packed, maker.block(samples, events, SYNC)]


def clone() -> list[bytes]:
    """Return a chain with two different blocks of number 2."""
    maker = Maker()
    first = maker.block(rows(2), [BOOT_EVENT], SYNC)
    other = maker.copy()
    return [first, maker.block(rows(2, start=600)), other.block(rows(2, start=600, value=1))]
