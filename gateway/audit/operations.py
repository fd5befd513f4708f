"""Every operation there is, in one place: what it is called, what it does, what it needs.

A command and a route name the operation that they perform. An operation states the permissions
that it needs, all of them; the one that needs none says in `touches` why: it touches what is the
asker's own, or what is nobody's.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from coldtrail_gateway.audit.roles import Permission

P = Permission


class Kind(StrEnum):
    """What an operation does."""

    READ = "read"
    CHANGE = "change"
    SIGN = "sign"


class Touches(StrEnum):
    """What an operation is about."""

    SHIPMENT = "shipment"
    """One shipment, or those that one may see: the row filter applies."""
    FLEET = "fleet"
    """All trackers and shipments: only who holds the permission for all of them is answered."""
    PEOPLE = "people"
    TRAIL = "trail"
    INSTALLATION = "installation"
    SELF = "self"
    """What is one's own; anyone who has signed in may ask."""
    NOTHING = "nothing"
    """Nothing that is kept, or what a secret in the question opens; anyone may ask."""


FREE: Final = frozenset({Touches.SELF, Touches.NOTHING})


@dataclass(frozen=True, slots=True)
class Operation:
    """One thing that can be asked of Coldtrail.

    Raises:
        ValueError: it states no rule for who may ask.
    """

    name: str
    kind: Kind
    touches: Touches
    needs: frozenset[P] = frozenset()

    def __post_init__(self) -> None:
        if bool(self.needs) is (self.touches in FREE):
            raise ValueError(f"operation {self.name}: it says not, or twice, who may ask it")
        if self.kind is Kind.SIGN and P.SIGN not in self.needs:
            raise ValueError(f"operation {self.name}: signing needs the permission to sign")


def _read(name: str, touches: Touches, *needs: P) -> Operation:
    return Operation(name, Kind.READ, touches, frozenset(needs))


def _change(name: str, touches: Touches, *needs: P) -> Operation:
    return Operation(name, Kind.CHANGE, touches, frozenset(needs))


_ALL: Final = (
    # --- shipments and trackers
    _read("shipment.verify", Touches.SHIPMENT, P.SHIPMENTS, P.CONDITION),
    _read("shipment.export", Touches.SHIPMENT, P.SHIPMENTS, P.LOCATION, P.CONDITION, P.REPORT),
    _read("shipment.prove", Touches.SHIPMENT, P.SHIPMENTS, P.REPORT),
    _read("blocks.decode", Touches.NOTHING),
    _read("blocks.check-proof", Touches.NOTHING),
    _read("blocks.verify", Touches.FLEET, P.SHIPMENTS, P.CONDITION),
    _read("tracker.status", Touches.FLEET, P.SHIPMENTS, P.LOCATION, P.CONDITION),
    _change("tracker.register", Touches.FLEET, P.PACK),
    _read("tracker.commands", Touches.FLEET, P.SHIPMENTS),
    _change("tracker.command", Touches.FLEET, P.STEER),
    _change("tracker.start-shipment", Touches.FLEET, P.PACK),
    _change("installation.serve", Touches.INSTALLATION, P.CONFIGURE),
    _change("installation.judge", Touches.INSTALLATION, P.CONFIGURE),
    _change("installation.rebuild", Touches.INSTALLATION, P.CONFIGURE),
    # --- people
    _read("people.list", Touches.PEOPLE, P.AUDIT),
    _change("people.add", Touches.PEOPLE, P.ADMINISTER),
    _change("people.disable", Touches.PEOPLE, P.ADMINISTER),
    _change("people.enable", Touches.PEOPLE, P.ADMINISTER),
    _change("people.code", Touches.PEOPLE, P.ADMINISTER),
    _change("people.second-factor-off", Touches.PEOPLE, P.ADMINISTER),
    _change("people.sessions-end", Touches.PEOPLE, P.ADMINISTER),
    # --- one's own account
    _change("self.redeem", Touches.NOTHING),
    _change("self.sign-in", Touches.NOTHING),
    _change("self.sign-out", Touches.SELF),
    _read("self.show", Touches.SELF),
    _change("self.password", Touches.SELF),
    _change("self.second-factor", Touches.SELF),
    # --- tokens for programs
    _read("tokens.list", Touches.PEOPLE, P.AUDIT),
    _change("tokens.make", Touches.PEOPLE, P.ADMINISTER),
    _change("tokens.revoke", Touches.PEOPLE, P.ADMINISTER),
    # --- roles
    _read("roles.list", Touches.PEOPLE, P.AUDIT),
    _read("roles.matrix", Touches.NOTHING),
    _change("roles.grant", Touches.PEOPLE, P.ADMINISTER),
    _change("roles.confirm", Touches.PEOPLE, P.ADMINISTER),
    _change("roles.revoke", Touches.PEOPLE, P.ADMINISTER),
    _change("roles.share", Touches.FLEET, P.SHIPMENTS, P.PACK),
    # --- the trail and signatures
    _read("audit.list", Touches.TRAIL, P.AUDIT),
    _read("audit.verify", Touches.TRAIL, P.AUDIT),
    _change("audit.anchor", Touches.TRAIL, P.CONFIGURE),
)

OPERATIONS: Final = {operation.name: operation for operation in _ALL}
