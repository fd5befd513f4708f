"""Commands from the gateway's command line to the tracker and back, and what is no command."""

import contextlib
import sqlite3
from hashlib import sha256
from pathlib import Path
from typing import Any

import cbor2

from coldtrail_boards.profiles import profile as profiles
from coldtrail_simulator.clock import US_PER_S
from coldtrail_simulator.shipment.shipment import Shipment
from tests.support.trackers.journeys import events, evidence, sealed_blocks, travel

CONFIGURE, ACKNOWLEDGE, LOCATE, REBOOT, SEND_AGAIN, START, STOP = 1, 2, 3, 4, 5, 6, 7
TAKEN, DONE, REFUSED, EXPIRED, INTERRUPTED = 0, 1, 2, 3, 4
POWER_ON, COMMANDED = 1, 4
REPEATS = "SELECT coalesce(count, 0) FROM blocks LEFT JOIN repeats ON block = id ORDER BY number"
CLEARED = 40  # bytes of a message without content, and more
NEWER = profiles.load("who_type_1").encode()


def said(shipment: Shipment) -> list[tuple[int, ...]]:
    """Return action and outcome of every event 17."""
    return [tuple(event[3:5]) for event in events(shipment) if event[0] == 17]


def table(shipment: Shipment) -> list[dict[str, Any]]:
    """Return the gateway's commands, the oldest first."""
    with contextlib.closing(sqlite3.connect(shipment.database)) as database:
        database.row_factory = sqlite3.Row
        return [dict(row) for row in database.execute("SELECT * FROM commands ORDER BY counter")]


def test_every_command_is_carried_out_once_and_told_of(tmp_path: Path) -> None:
    shipment = travel("commands", 5, tmp_path / "out")
    rows = table(shipment)
    # The power fails at a seeded moment after the call that brings it.
    rebooted = rows[2]["outcome"]
    assert rebooted in (DONE, INTERRUPTED)
    assert said(shipment) == [
        (ACKNOWLEDGE, TAKEN), (ACKNOWLEDGE, DONE),
        (LOCATE, TAKEN), (LOCATE, DONE),
        (REBOOT, TAKEN), (REBOOT, rebooted),
        (SEND_AGAIN, TAKEN), (SEND_AGAIN, DONE),
        (ACKNOWLEDGE, EXPIRED),
        (CONFIGURE, TAKEN), (CONFIGURE, DONE),
        (SEND_AGAIN, REFUSED),
        (START, TAKEN), (START, DONE),
        (STOP, TAKEN), (STOP, DONE),
    ]  # fmt: skip
    assert [row["outcome"] for row in rows] == [1, 1, rebooted, 1, 3, 1, 2, 1, 1]
    acted = (DONE, INTERRUPTED)
    assert all((row["taken_ms"] is not None) == (row["outcome"] in acted) for row in rows)
    # Each is heard again until its outcome is known, and nothing in MQTT says that it is a repeat.
    heard = [
        note for note in shipment.of("mqtt-down") if note.get("topic", "").endswith("command")
    ]
    assert len([note for note in heard if note["bytes"] > CLEARED]) > len(rows) + 5
    counters = [event[2] for event in events(shipment) if event[0] == 17]
    assert sorted(set(counters)) == [row["counter"] for row in rows]
    assert counters == sorted(counters)
    check_position(shipment)
    check_reboots(shipment, rebooted)
    check_refusals(shipment)
    check_shipments(shipment)
    check_sent_again(shipment)
    assert evidence(shipment).chain_ok


def check_position(shipment: Shipment) -> None:
    """Between taken and done it has looked for satellites, and was right within 100 m."""
    told = events(shipment)
    taken, done = [place for place, event in enumerate(told)
                   if event[0] == 17 and event[3] == LOCATE]  # fmt: skip
    [[_, latitude, longitude, uncertainty_m, source]] = [
        event[1:] for event in told[taken:done] if event[0] == 2
    ]
    leg = shipment.world.leg(0)
    assert source == 1
    assert 0 < uncertainty_m <= 100
    assert abs(latitude / 1e6 - leg.latitude) < 0.001
    assert abs(longitude / 1e6 - leg.longitude) < 0.001


def check_reboots(shipment: Shipment, rebooted: int) -> None:
    """Two with power, one with another profile, one as asked for unless it was interrupted."""
    boots = [event[3] for event in events(shipment) if event[0] == 3]
    assert boots.count(POWER_ON) == 2
    assert boots.count(COMMANDED) == len(boots) - 2 == (2 if rebooted == DONE else 1)
    *before, last = [event[3] for event in events(shipment) if event[0] == 7]
    assert len(set(before)) == 1
    assert before[0] != last == sha256(NEWER).digest()[:8]
    volume = shipment.out / "volume"
    assert (volume / "profile.cbor").read_bytes() == NEWER
    assert not (volume / "profile.new").exists()
    intervals = [
        cbor2.loads(cbor2.loads(sealed).value[2]).get(8, {}).get(2)
        for sealed in sealed_blocks(shipment)
    ]
    seen = [interval for interval in intervals if interval]
    assert seen == sorted(seen)
    assert set(seen) == {300, 600}


def check_refusals(shipment: Shipment) -> None:
    """A forgery and a replay: each a fault that begins once and ends, and nothing else."""
    faults = [tuple(event[2:]) for event in events(shipment) if event[0] == 13]
    assert faults == [(9, 2, 1), (9, 2, 0), (9, 10, 1), (9, 10, 0)]


def check_shipments(shipment: Shipment) -> None:
    """The one that was provisioned gives way, and does not come back."""
    first = shipment.identity.shipment
    story = [event[:1] + event[2:] for event in events(shipment) if event[0] in (10, 11)]
    assert story == [[10, first], [11, first, 4], [10, "SECOND-LEG"], [11, "SECOND-LEG", 2]]


def check_sent_again(shipment: Shipment) -> None:
    """Every block there was came once more; none of the calls was for nothing."""
    with contextlib.closing(sqlite3.connect(shipment.database)) as database:
        repeats = [n for (n,) in database.execute(REPEATS)]
        when = database.execute("SELECT ended_ms FROM commands WHERE counter = ?",
                                (table(shipment)[3]["counter"],)).fetchone()  # fmt: skip
    assert when is not None
    again = repeats.index(0)
    assert again > 4
    assert repeats == [1] * again + [0] * (len(repeats) - again)
    connects = [note["us"] / US_PER_S / 3600 for note in shipment.of("mqtt-up")
                if note["packet"] == "CONNECT"]  # fmt: skip
    assert len(connects) < 30
