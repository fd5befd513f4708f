"""A command to a tracker (`uplink.cddl`, `command`): its bytes, its limits, its names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from hashlib import sha256
from typing import Final

import cbor2

from coldtrail_gateway.contract import cbor
from coldtrail_gateway.contract.block import BlockError
from coldtrail_gateway.contract.cbor import CborError
from coldtrail_gateway.contract.fields import UNIX
from coldtrail_gateway.contract.utc import iso

MAX_PROFILE: Final = 536  # bytes: the longest that the contract allows
LONGEST_S: Final = 365 * 86400
AT_ONCE_S: Final = 3600  # locate and reboot
DEFAULT_S: Final = 7 * 86400

_VERSION: Final = 1
_DIGEST_SIZE: Final = 8
_COUNTER_END: Final = 2**53
_FIELDS: Final = {0, 1, 2, 3}

Value = int | str | bytes


class Action(IntEnum):
    """What a tracker can be asked to do."""

    CONFIGURE = 1
    ACKNOWLEDGE = 2
    LOCATE = 3
    REBOOT = 4
    SEND_AGAIN = 5
    START_SHIPMENT = 6
    STOP_SHIPMENT = 7


NAMES: Final = {action.value: action.name.lower().replace("_", "-") for action in Action}


class Outcome(IntEnum):
    """What became of a command: as the tracker says in event 17; the last is the gateway's own."""

    TAKEN = 0
    DONE = 1
    REFUSED = 2
    EXPIRED = 3
    INTERRUPTED = 4
    CANCELLED = 5


@dataclass(frozen=True, slots=True)
class Command:
    """A command as the store has it; times in ms, `expiry` in s since 1970, UTC.

    `sent_ms`: when it was first retained at a broker. `taken_ms`, `ended_ms`: when the gateway
    heard of it.
    """

    tracker: str
    counter: int
    action: bytes
    expiry: int
    made_ms: int
    sent_ms: int | None = None
    taken_ms: int | None = None
    ended_ms: int | None = None
    outcome: int | None = None
    reason: str | None = None

    @property
    def fields(self) -> list[Value]:
        """The action's array."""
        fields: list[Value] = cbor2.loads(self.action)
        return fields

    def payload(self) -> bytes:
        """Return what is sealed for the tracker."""
        return cbor2.dumps(
            {0: _VERSION, 1: self.counter, 2: self.expiry, 3: self.fields}, canonical=True
        )

    def state(self, now_ms: int) -> str:
        """Return what became of it, in words."""
        if self.outcome is not None:
            return ended(self.outcome, self.reason)
        if now_ms >= self.expiry * 1000:
            return "expired" if self.taken_ms is None else "taken, no outcome until it expired"
        if self.taken_ms is not None:
            return "taken"
        return "waiting" if self.sent_ms is None else "sent"


def ended(outcome: int, reason: str | None) -> str:
    """Return an outcome in words."""
    words = Outcome(outcome).name.lower()
    if outcome == Outcome.INTERRUPTED:
        words += " by a reset"
    return f"{words}: {reason}" if reason else words


def configure(profile: bytes) -> list[Value]:
    """Return the action that brings a profile, the bytes that the tracker stores, into force."""
    return [Action.CONFIGURE.value, sha256(profile).digest()[:_DIGEST_SIZE], profile]


def is_profile(data: bytes) -> bool:
    """Tell whether these bytes look like a profile; the tracker judges the whole of it."""
    try:
        fields = cbor.decode(data)
    except CborError:
        return False
    return isinstance(fields, dict) and fields.get(0) == 1 and isinstance(fields.get(1), str)


def longest_s(action: int) -> int:
    """Return how long after it was made a command may still be carried out, at most."""
    return AT_ONCE_S if action in (Action.LOCATE, Action.REBOOT) else LONGEST_S


def described(fields: Sequence[Value]) -> str:
    """Return an action in words."""
    name = NAMES[int(fields[0])]
    if fields[0] == Action.CONFIGURE and isinstance(fields[1], bytes):
        return f"{name} {fields[1].hex()}"
    return " ".join([name, *map(str, fields[1:])])


def read(payload: bytes) -> dict[str, object]:
    """Return what a command says, by name.

    Raises:
        BlockError: it is none of this contract.
    """
    try:
        value = cbor.decode(payload)
    except CborError as error:
        raise BlockError(str(error)) from None
    if isinstance(value, dict) and value.keys() == _FIELDS and value[0] == _VERSION:
        counter, expiry, action = value[1], value[2], value[3]
        if (
            isinstance(counter, int)
            and 0 < counter < _COUNTER_END
            and isinstance(expiry, int)
            and UNIX.low <= expiry <= UNIX.high
            and isinstance(action, list)
            and action
            and action[0] in NAMES
            and all(isinstance(field, Value) for field in action)
        ):
            return {
                "counter": counter,
                "expiry": iso(expiry * 1000),
                "action": described([f for f in action if isinstance(f, Value)]),
            }
    raise BlockError("not a command of this contract")
