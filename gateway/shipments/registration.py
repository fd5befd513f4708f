"""Registration files: trackers with their keys, and shipments."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from coldtrail_gateway import keyfiles
from coldtrail_gateway.contract.envelope import KEY_SIZE, TRACKER_ID
from coldtrail_gateway.errors import GatewayError
from coldtrail_gateway.store.database import Store
from coldtrail_gateway.store.registry import Holder, KeyPair, Shipment
from coldtrail_gateway.store.tables import Tables

_MAX_SIZE = 64 * 1024 * 1024


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


def register(store: Store, path: Path) -> tuple[int, int]:
    """Register everything in a file, or nothing; return how many trackers and shipments it has.

    What is registered already is left as it is.

    Raises:
        RegistrationError: the file is not one, or contradicts what is registered.
        SharedFileError: others can read the file.
        StoreError: the database cannot take it.
    """
    registration = _read(path)
    with store.write() as tables:
        tables.registry.lock_keys()
        _check_keys(tables, registration.trackers, path)
        for tracker in registration.trackers:
            _add_tracker(tables, tracker, path)
        for shipment in registration.shipments:
            _add_shipment(tables, shipment, path)
    return len(registration.trackers), len(registration.shipments)


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
    profile = None
    if shipment.profile is not None:
        profile = json.dumps(shipment.profile, sort_keys=True, separators=(",", ":"))
    wanted = Shipment(shipment.id, shipment.tracker, profile)
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
