"""What a person signs who releases or rejects a shipment: what its sealed blocks say.

Two histories with the same blocks and findings give the same record, whatever the order of
arrival. A block that arrives later, or a finding that it brings, gives another: then a signature
over the record is superseded.
"""

from __future__ import annotations

from typing import Any

from coldtrail_gateway.evidence.archive import Entry
from coldtrail_gateway.shipments.history import History


def of(history: History) -> dict[str, Any]:
    """Return the record of a shipment, as JSON.

    Its blocks by SHA-256, what holds of each of them, how many samples the archive vouches for,
    and every finding that makes a verification fail.
    """
    blocks = [_block(entry) for entry in history.entries]
    doubtful = sum(placed.flaw is not None for placed, _ in history.samples)
    return {
        "shipment": history.shipment,
        "tracker": history.tracker,
        "blocks": sorted(blocks, key=lambda block: str(block["sha256"])),
        "samples": len(history.samples),
        "vouched_for": len(history.samples) - doubtful,
        "findings": sorted(str(finding) for finding in history.findings if finding.wrong),
    }


def _block(entry: Entry) -> dict[str, Any]:
    return {
        "sha256": entry.row.digest.hex(),
        "chain": entry.head.chain.hex() if entry.head else None,
        "number": entry.head.number if entry.head else None,
        "key_version": entry.row.key_version,
        "state": entry.damage or entry.undecoded or "archived",
    }
