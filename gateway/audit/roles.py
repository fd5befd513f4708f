"""Roles as data: what each may do, and whether it is held for one organisation.

Permissions are small and independent of each other. A role is nothing but a set of them; what a
person may do is the union of what the person's roles say. Location and condition stand apart
because a sponsor may often know the one and not the other.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Permission(StrEnum):
    """One thing that one may do."""

    SHIPMENTS = "shipments"
    """See that a shipment exists, its delivery and its status word."""
    LOCATION = "location"
    """See where it is and was."""
    CONDITION = "condition"
    """See readings, excursions and the stability budget."""
    REPORT = "report"
    """Take reports and exports."""
    UNBLINDED = "unblinded"
    """See lots and arms of a trial that are blinded."""
    COMMENT = "comment"
    ACKNOWLEDGE = "acknowledge"
    """Acknowledge alarms."""
    STEER = "steer"
    """Send commands to trackers."""
    PACK = "pack"
    """Register trackers and shipments, start shipments, say whose they are."""
    RECEIVE = "receive"
    """Take a shipment in, and say what was found."""
    DECIDE = "decide"
    """Make a quality decision, approve profiles and reports."""
    SIGN = "sign"
    """Sign electronically. A token never has it: a signature is a person's."""
    CONFIGURE = "configure"
    """Change rules, places, notifications and integrations."""
    ADMINISTER = "administer"
    """Administer people, programs, tokens and roles."""
    AUDIT = "audit"
    """Read the audit trail, people and roles."""


class Reach(StrEnum):
    """For which shipments a role can be held."""

    ALL = "all"
    ONE = "one organisation"
    EITHER = "all or one organisation"


@dataclass(frozen=True, slots=True)
class Role:
    """A name for a set of permissions."""

    name: str
    permissions: frozenset[Permission]
    reach: Reach
    about: str


P = Permission

ROLES: Final = {
    role.name: role
    for role in (
        Role(
            "operator",
            frozenset(
                {
                    P.SHIPMENTS,
                    P.LOCATION,
                    P.CONDITION,
                    P.REPORT,
                    P.COMMENT,
                    P.ACKNOWLEDGE,
                    P.STEER,
                }
            ),
            Reach.EITHER,
            "watches shipments, acknowledges alarms, sends commands",
        ),
        Role(
            "quality",
            frozenset(
                {
                    P.SHIPMENTS,
                    P.LOCATION,
                    P.CONDITION,
                    P.REPORT,
                    P.UNBLINDED,
                    P.COMMENT,
                    P.ACKNOWLEDGE,
                    P.DECIDE,
                    P.SIGN,
                    P.AUDIT,
                }
            ),
            Reach.ALL,
            "decides and signs",
        ),
        Role(
            "packer",
            frozenset({P.SHIPMENTS, P.COMMENT, P.PACK}),
            Reach.ALL,
            "registers trackers, packs and starts shipments",
        ),
        Role(
            "receiver",
            frozenset({P.SHIPMENTS, P.CONDITION, P.COMMENT, P.RECEIVE}),
            Reach.EITHER,
            "takes shipments in",
        ),
        Role(
            "sponsor",
            frozenset({P.SHIPMENTS, P.COMMENT}),
            Reach.ONE,
            "sees that its own shipments exist, and their status",
        ),
        Role(
            "sponsor-location",
            frozenset({P.SHIPMENTS, P.LOCATION}),
            Reach.ONE,
            "sees where its own shipments are",
        ),
        Role(
            "sponsor-condition",
            frozenset({P.SHIPMENTS, P.CONDITION}),
            Reach.ONE,
            "sees the readings of its own shipments",
        ),
        Role(
            "auditor",
            frozenset({P.SHIPMENTS, P.LOCATION, P.CONDITION, P.REPORT, P.UNBLINDED, P.AUDIT}),
            Reach.ALL,
            "reads everything, changes nothing",
        ),
        Role(
            "administrator",
            frozenset({P.CONFIGURE, P.ADMINISTER, P.AUDIT}),
            Reach.ALL,
            "administers people and configuration; sees no shipment",
        ),
        Role(
            "program",
            frozenset({P.SHIPMENTS, P.LOCATION, P.CONDITION, P.REPORT, P.COMMENT, P.PACK}),
            Reach.EITHER,
            "another system: hands orders in, takes data out",
        ),
    )
}

ADMINISTRATOR: Final = "administrator"
