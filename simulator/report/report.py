"""The results of a shipment: summary.json, the CSV, the picture, and lines of text."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import cbor2

from coldtrail_simulator.clock import US_PER_S
from coldtrail_simulator.network.contract import (
    LOWER_LIMIT,
    UNITS,
    UPPER_LIMIT,
    Channel,
    Profile,
    Rule,
)
from coldtrail_simulator.report.comparison import (
    Comparison,
    compare,
    samples_stored,
    samples_taken,
)
from coldtrail_simulator.report.picture import Curve, Drawing, draw
from coldtrail_simulator.report.timeline import timeline
from coldtrail_simulator.shipment.packing import ShipmentError, command
from coldtrail_simulator.shipment.shipment import Shipment
from coldtrail_simulator.world.scenario import ReIce

HOUR_US = 3600 * US_PER_S
GERUNDS = {"re_ice": "re-icing"}
"""Names of event kinds for people, where the kind is not a usual word."""


@dataclass(frozen=True)
class Summary:
    """The figures of one shipment; hours are counted from the start of the scenario."""

    scenario: str
    seed: int
    samples_taken: int
    samples_stored: int
    samples_confirmed: int
    worst_time_difference_s: float
    blocks: int
    called_at_h: float | None
    called_from: str | None
    twin_breach_at_h: float | None
    """When the control run exceeds the upper limit; None when it does not, or there is none."""
    twin_without: list[str]
    """Kinds of events that the control run leaves out."""
    high_limit_c: float | None
    """Tightest upper limit of the payload in the profile."""
    bytes_sent: int
    messages_sent: int
    chain_ok: bool
    wall_s: float
    virtual_h: float
    energy: dict[str, Any] | None
    timeline: list[tuple[float, str]]
    """Hour and text of each button press, LED signal and alarm."""

    @property
    def good(self) -> bool:
        """Whether taken, stored and confirmed samples agree and the archive is verified."""
        return (
            self.chain_ok and self.samples_taken == self.samples_stored == self.samples_confirmed
        )


class Evidence:
    """The gateway's export and verification of a shipment, made with its own commands."""

    def __init__(self, shipment: Shipment) -> None:
        """Export and verify.

        Raises:
            ShipmentError: the gateway does not know the shipment.
        """
        self.shipment = shipment
        database = ("--db", str(shipment.database))
        self.csv = shipment.out / "samples.csv"
        name = shipment.identity.shipment
        command("gateway", "export", name, "--format", "csv", "-o", str(self.csv), *database)
        with self.csv.open(encoding="utf-8", newline="") as file:
            self.rows = list(csv.DictReader(file))
        document = command("gateway", "export", name, "--format", "json", *database)
        self.events: list[dict[str, Any]] = json.loads(document)["events"]
        try:
            self.verdict = command("gateway", "verify", name, *database)
            self.chain_ok = True
        except ShipmentError as error:
            self.verdict = str(error)
            self.chain_ok = False

    @property
    def start(self) -> datetime:
        """The start of the scenario."""
        return self.shipment.scenario.scenario.start

    def hours(self, time_utc: str) -> float:
        """Return the hours since the scenario's start."""
        return (datetime.fromisoformat(time_utc) - self.start).total_seconds() / 3600

    def curve(self, column: str) -> Curve:
        """Return a column over the hours."""
        return [
            (self.hours(row["time_utc"]), float(row[column]))
            for row in self.rows
            if row["time_utc"] and row[column]
        ]

    def alarms(self) -> list[tuple[float, str]]:
        """Return the hour of each alarm, and its kind and channel in words."""
        return [
            (self.hours(event["time_utc"]), f"{event['kind']} alarm on {_channel(event)}")
            for event in self.events
            if event["type"] == "alarm-start" and event["time_utc"]
        ]

    def comparison(self) -> Comparison:
        """Compare the export with the journal of the sensors."""
        return compare(samples_taken(self.shipment.notes), samples_stored(self.rows, self.start))

    def first_above(self, limit: float) -> float | None:
        """Return the hour of the first stored payload temperature above ``limit`` degC."""
        return next((hour for hour, value in self.curve("payload_c") if value > limit), None)


def limits(shipment: Shipment) -> tuple[float | None, float | None]:
    """Return the tightest lower and upper limit of the payload in the profile, degC."""
    profile = cbor2.loads((shipment.out / "volume" / "profile.cbor").read_bytes())
    per_degree, _ = UNITS[Channel.PAYLOAD_TEMPERATURE]
    thresholds = [
        (rule[Rule.COMPARISON], rule[Rule.THRESHOLD] / per_degree)
        for rule in profile[Profile.RULES]
        if rule[Rule.CHANNEL] == Channel.PAYLOAD_TEMPERATURE
    ]
    lows = [celsius for comparison, celsius in thresholds if comparison in LOWER_LIMIT]
    highs = [celsius for comparison, celsius in thresholds if comparison in UPPER_LIMIT]
    return max(lows, default=None), min(highs, default=None)


def first_call(shipment: Shipment, evidence: Evidence) -> float | None:
    """Return the hour at which the tracker sent the first block after the first alarm."""
    alarms = evidence.alarms()
    if not alarms:
        return None
    for note in shipment.of("mqtt-up"):
        hour: float = note["us"] / HOUR_US
        # The time of the alarm is known within a second.
        if note["packet"] == "PUBLISH" and hour > alarms[0][0] - 1 / 3600:
            return hour
    return None


def offline(shipment: Shipment) -> list[tuple[float, float]]:
    """Return the spans without coverage, in hours."""
    legs = shipment.world.legs
    ends = [leg.from_h for leg in legs[1:]] + [shipment.scenario.scenario.duration_h]
    return [
        (leg.from_h, end) for leg, end in zip(legs, ends, strict=True) if leg.coverage == "none"
    ]


def report(
    shipment: Shipment, seed: int, twin: Shipment | None, *, energy: bool = False
) -> tuple[Summary, Evidence]:
    """Write ``samples.csv``, ``summary.json`` and ``shipment.png`` into the shipment's folder.

    Raises:
        ShipmentError: the gateway does not know the shipment.
    """
    evidence = Evidence(shipment)
    twin_evidence = Evidence(twin) if twin else None
    low, high = limits(shipment)
    called = first_call(shipment, evidence)
    comparison = evidence.comparison()
    seen = timeline(shipment.notes, evidence.alarms())
    summary = Summary(
        scenario=shipment.scenario.name,
        seed=seed,
        samples_taken=comparison.taken,
        samples_stored=comparison.stored,
        samples_confirmed=sum(shipment.confirms(int(row["block"])) for row in evidence.rows),
        worst_time_difference_s=round(comparison.worst_s, 3),
        blocks=len({row["block"] for row in evidence.rows}),
        called_at_h=called and round(called, 2),
        called_from=None if called is None else shipment.world.leg(called * 3600).place,
        twin_breach_at_h=_rounded(
            twin_evidence.first_above(high) if twin_evidence and high is not None else None
        ),
        twin_without=shipment.scenario.twin.without if shipment.scenario.twin else [],
        high_limit_c=high,
        bytes_sent=shipment.traffic["bytes_up"],
        messages_sent=shipment.traffic["messages_up"],
        chain_ok=evidence.chain_ok,
        wall_s=round(shipment.wall_s, 1),
        virtual_h=shipment.scenario.scenario.duration_h,
        energy=shipment.energy.summary() if energy and shipment.energy else None,
        timeline=[(round(hour, 3), words) for hour, words in seen],
    )
    text = json.dumps(asdict(summary), indent=2, ensure_ascii=False) + "\n"
    (shipment.out / "summary.json").write_text(text, encoding="utf-8")
    header = shipment.scenario.scenario
    draw(
        Drawing(
            title=header.title,
            payload=evidence.curve("payload_c"),
            ambient=evidence.curve("ambient_c"),
            twin=twin_evidence.curve("payload_c") if twin_evidence else (),
            low_c=low,
            high_c=high,
            offline=offline(shipment),
            alarms=evidence.alarms(),
            events=[
                (t / 3600, "re-iced") for t, e in shipment.world.events if isinstance(e, ReIce)
            ],
            legs=[(leg.from_h, leg.place) for leg in shipment.world.legs],
            end_h=header.duration_h,
        ),
        shipment.out / "shipment.png",
    )
    return summary, evidence


def _channel(event: Mapping[str, Any]) -> str:
    """Return the channel of an alarm without the unit that its name ends in."""
    return str(event["channel"]).rpartition("_")[0].replace("_", " ")


def _rounded(hours: float | None) -> float | None:
    return None if hours is None else round(hours, 2)


def lines(summary: Summary, traffic: Mapping[str, int], out: Path) -> list[str]:
    """Return the result of a run as lines of text."""
    verdict = "all three agree" if summary.good else "they do NOT agree"
    counts = (
        f"{summary.samples_taken} taken, {summary.samples_stored} stored, "
        f"{summary.samples_confirmed} confirmed"
    )
    per_sample = summary.bytes_sent / max(1, summary.samples_taken)
    sent = f"{summary.bytes_sent} bytes in {summary.messages_sent} messages"
    verified = "every block verifies" if summary.chain_ok else "NOT every block verifies"
    said = [
        f"Samples: {counts}; {verdict}, times within {summary.worst_time_difference_s:.2f} s",
        _call(summary),
        f"Sent: {sent} ({per_sample:.0f} bytes per sample, MQTT included)",
        f"Received: {traffic['bytes_down']} bytes",
        f"Archive: {summary.blocks} blocks with samples; {verified}",
        f"Run: {summary.virtual_h:g} h simulated in {summary.wall_s:.1f} s",
        f"Results in {out}: shipment.png, samples.csv, summary.json, journal.jsonl, console.log",
    ]
    if summary.timeline:
        said.append("Timeline:")
        said += [f"  {hour:7.2f} h  {words}" for hour, words in summary.timeline]
    return said


def _call(summary: Summary) -> str:
    if summary.called_at_h is None:
        return "No alarm call was made"
    call = f"Alarm call at {summary.called_at_h:.1f} h ({summary.called_from})"
    if summary.twin_breach_at_h is None:
        return call
    ahead_h = summary.twin_breach_at_h - summary.called_at_h
    without = " and ".join(GERUNDS.get(kind, kind) for kind in summary.twin_without)
    return (
        f"{call}: {abs(ahead_h):.1f} h {'before' if ahead_h >= 0 else 'after'} the control run "
        f"without {without} exceeds {summary.high_limit_c:g} °C ({summary.twin_breach_at_h:.1f} h)"
    )
