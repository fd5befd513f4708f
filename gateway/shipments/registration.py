"""Registration files: trackers with their keys, and shipments."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from coldtrail_gateway import keyfiles
from coldtrail_gateway.audit import elsewhere
from coldtrail_gateway.audit.trail import Action, Actor, Entry, Subject
from coldtrail_gateway.contract.envelope import KEY_SIZE, TRACKER_ID
from coldtrail_gateway.contract.printable import printable
from coldtrail_gateway.errors import GatewayError
from coldtrail_gateway.store.database import Store
from coldtrail_gateway.store.registry import Holder, KeyPair, Shipment
from coldtrail_gateway.store.tables import Tables
from coldtrail_gateway.store.tower.database import Tower

REGISTER: Final = Action("registration.register")

_MAX_SIZE = 64 * 1024 * 1024
_NOTHING: Final[dict[str, Any]] = {"trackers": {}, "shipments": {}}


class RegistrationError(GatewayError):
    """A registration file that is not accepted; nothing of it was registered."""


def _key(value: object) -> bytes:
    # The value never goes into a message: it is a secret.
    try:
        key = bytes.fromhex(value) if isinstance(value, str) else b""
    except ValueError:
        key = b""
    if len(key) != KEY_SIZE:
        raise ValueError(f"a key is {2 * KEY_SIZE} hexadecimal digits")
    if len(set(key)) == 1:
        raise ValueError("a key of equal bytes is no secret: make one from random bytes")
    return key


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True)


_Key = Annotated[bytes, BeforeValidator(_key)]
_TrackerId = Annotated[str, Field(pattern=f"^{TRACKER_ID.pattern}$")]


class _KeyVersion(_Strict):
    version: int = Field(ge=1, le=255)
    uplink: _Key
    downlink: _Key

    @model_validator(mode="after")
    def _two_keys(self) -> Self:
        if self.uplink == self.downlink:
            raise ValueError("uplink and downlink need different keys")
        return self


class _Tracker(_Strict):
    id: _TrackerId
    keys: list[_KeyVersion] = Field(min_length=1)
    test: bool = False


class _Shipment(_Strict):
    id: str = Field(min_length=1, max_length=32)
    tracker: _TrackerId
    profile: dict[str, Any] | None = None

    @model_validator(mode="after")
    def _fits_a_block(self) -> Self:
        if len(self.id.encode()) > 32 or not self.id.isprintable():
            raise ValueError("a shipment id has 1 to 32 bytes of printable text")
        return self


class _Registration(_Strict):
    coldtrail: Literal["registration/1"]
    trackers: list[_Tracker] = []
    shipments: list[_Shipment] = []


def register(
    store: Store, tower: Tower, path: Path, actor: Actor, now: Callable[[], int]
) -> tuple[int, int]:
    """Register everything in a file, or nothing; return how many trackers and shipments it has.

    What is registered already is left as it is. What changes is recorded in the audit trail,
    without keys. `now` returns UTC in ms.

    Raises:
        RegistrationError: the file is not one, or contradicts what is registered.
        SharedFileError: others can read the file.
        StoreError: a database cannot take it.
    """
    registration = _read(path)
    with store.read() as tables:
        before, after = _before_and_after(tables, registration)
    if after == _NOTHING:
        _register(store, registration, path)
    else:
        elsewhere.carry_out(
            tower,
            actor,
            REGISTER,
            Subject("registration", printable(path.name)),
            before,
            after,
            "",
            now,
            lambda _intent: _register(store, registration, path),
            look(store),
        )
    return len(registration.trackers), len(registration.shipments)


def look(store: Store) -> elsewhere.Look:
    """Return how to find out whether what an entry speaks of is registered."""

    def is_registered(intent: Entry) -> bool:
        wanted: dict[str, dict[str, Any]] = intent.after
        with store.read() as tables:
            return _state(tables, wanted["trackers"], wanted["shipments"]) == wanted

    return is_registered


def _register(store: Store, registration: _Registration, path: Path) -> None:
    with store.write() as tables:
        tables.registry.lock_keys()
        _check_keys(tables, registration.trackers, path)
        for tracker in registration.trackers:
            _add_tracker(tables, tracker, path)
        for shipment in registration.shipments:
            _add_shipment(tables, shipment, path)


def _before_and_after(
    tables: Tables, registration: _Registration
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what a file changes, as it is and as it will be; keys are only named."""
    before = _state(
        tables,
        [tracker.id for tracker in registration.trackers],
        [shipment.id for shipment in registration.shipments],
    )
    after: dict[str, Any] = {"trackers": {}, "shipments": {}}
    for tracker in registration.trackers:
        known = before["trackers"].get(tracker.id, {"key_versions": []})
        versions = {*known["key_versions"], *(key.version for key in tracker.keys)}
        after["trackers"][tracker.id] = {"test": tracker.test, "key_versions": sorted(versions)}
    for shipment in registration.shipments:
        after["shipments"][shipment.id] = {
            "tracker": shipment.tracker,
            "profile": _profile(shipment),
        }
    for noun, things in after.items():
        for name in [name for name, thing in things.items() if before[noun].get(name) == thing]:
            del things[name], before[noun][name]
    return before, after


def _state(tables: Tables, trackers: Iterable[str], shipments: Iterable[str]) -> dict[str, Any]:
    """Return what is registered of these, by id."""
    found: dict[str, Any] = {"trackers": {}, "shipments": {}}
    for name in trackers:
        for tracker in tables.registry.named([name]).values():
            versions = sorted(tables.registry.keys([name]).get(name, {}))
            found["trackers"][name] = {"test": tracker.test, "key_versions": versions}
    for name in shipments:
        if shipment := tables.registry.shipment(name):
            found["shipments"][name] = {
                "tracker": shipment.tracker,
                "profile": shipment.profile,
            }
    return found


def add_shipment(tables: Tables, shipment: str, tracker: str) -> None:
    """Register a shipment that a command begins.

    Raises:
        RegistrationError: it is registered with another tracker.
    """
    known = tables.registry.shipment(shipment)
    if known is None:
        tables.registry.add_shipment(Shipment(shipment, tracker, None))
    elif known.tracker != tracker:
        raise RegistrationError(
            f"Shipment {shipment} is registered with tracker {known.tracker}: "
            "give a new shipment a new id."
        )


def _read(path: Path) -> _Registration:
    try:
        keyfiles.check(path)
        if path.stat().st_size > _MAX_SIZE:
            raise RegistrationError(f"{path} is too long for a registration file: split it.")
        return _Registration.model_validate_json(_text(path))
    except OSError as error:
        raise RegistrationError(f"{path} cannot be read ({error.strerror}).") from error
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        reason = first["msg"].removeprefix("Value error, ")
        raise RegistrationError(
            f"{path} is not a registration file: {where}: {reason}. Nothing was registered."
        ) from None


def _text(path: Path) -> str:
    """Read UTF-8, with the byte order mark that some editors write or without."""
    try:
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError:
        raise RegistrationError(f"{path} is not UTF-8: save it as UTF-8.") from None


def _check_keys(tables: Tables, trackers: Sequence[_Tracker], path: Path) -> None:
    """Refuse a key that is given out twice: who holds the one tracker could speak for the other.

    The two directions need different keys for the same reason: what was said in one could be
    played back in the other, but for what the MAC covers beside it.
    """
    given = [
        (value, Holder(tracker.id, key.version, direction))
        for tracker in trackers
        for key in tracker.keys
        for direction, value in (("uplink", key.uplink), ("downlink", key.downlink))
    ]
    holders = tables.registry.holders([value for value, _ in given])
    for value, holder in given:
        other = holders.setdefault(value, holder)
        if other != holder:
            raise RegistrationError(
                f"{path}: the {holder} is the {other}: make a key of its own from random bytes. "
                "Nothing was registered."
            )


def _add_tracker(tables: Tables, tracker: _Tracker, path: Path) -> None:
    tables.registry.add_tracker(tracker.id, test=tracker.test)
    known = tables.registry.keys([tracker.id]).get(tracker.id, {})
    for key in tracker.keys:
        pair = KeyPair(key.uplink, key.downlink)
        if key.version not in known:
            tables.registry.add_key(tracker.id, key.version, pair)
            known[key.version] = pair
        elif known[key.version] != pair:
            raise RegistrationError(
                f"{path}: tracker {tracker.id} has other keys of version {key.version} already: "
                "give new keys a new version. Nothing was registered."
            )


def _add_shipment(tables: Tables, shipment: _Shipment, path: Path) -> None:
    wanted = Shipment(shipment.id, shipment.tracker, _profile(shipment))
    known = tables.registry.shipment(shipment.id)
    if not tables.registry.keys([shipment.tracker]):
        raise RegistrationError(
            f"{path}: shipment {shipment.id} names tracker {shipment.tracker}, which is not "
            "registered: add it to the file. Nothing was registered."
        )
    if known is None:
        tables.registry.add_shipment(wanted)
    elif known != wanted:
        raise RegistrationError(
            f"{path}: shipment {shipment.id} is registered with another tracker or profile: "
            "give a new shipment a new id. Nothing was registered."
        )


def _profile(shipment: _Shipment) -> str | None:
    if shipment.profile is None:
        return None
    return json.dumps(shipment.profile, sort_keys=True, separators=(",", ":"))
