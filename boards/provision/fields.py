"""The fields of identity.cbor and their allowed values, as in firmware/provisioning.toml.

The tracker applies the same checks at its start, so nothing is provisioned that would stop it.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from enum import IntEnum
from typing import Any, NamedTuple

from coldtrail_boards.errors import BoardError

Check = Callable[[Any], bool]


class Key(IntEnum):
    """Keys of identity.cbor."""

    VERSION = 0
    TRACKER = 1
    KEY_VERSION = 2
    UPLINK_KEY = 3
    DOWNLINK_KEY = 4
    HOST = 5
    PORT = 6
    APN = 7
    SHIPMENT = 8
    TLS = 9
    FLIGHTS = 10
    PIN = 11
    APN_USER = 12
    APN_PASSWORD = 13
    SERVICE = 14
    CODE = 15


class Field(NamedTuple):
    """One field: its allowed values in words and as a function, and whether it is optional."""

    rule: str
    fits: Check
    optional: bool = False


_UNIX_END = 1 << 32
_MAX_FLIGHTS = 8


def _integer(low: int, high: int) -> Check:
    return lambda value: type(value) is int and low <= value <= high


def _text(pattern: str) -> Check:
    return lambda value: isinstance(value, str) and re.fullmatch(pattern, value) is not None


def _is_key(value: Any) -> bool:
    return isinstance(value, bytes) and len(value) == 32 and len(set(value)) > 1


def _are_labels(value: Any, longest: int) -> bool:
    label = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
    return _text(rf"{label}(?:\.{label})*")(value) and len(value) <= longest


def _is_host(value: Any) -> bool:
    if not _are_labels(value, 253):
        return False
    if not value.rpartition(".")[2].isdigit():
        return True
    try:
        ipaddress.IPv4Address(value)
    except ValueError:
        return False
    return True


def _is_shipment(value: Any) -> bool:
    if value is None:
        return True
    return _text(r"[^\x00-\x1f\x7f-\x9f]+")(value) and len(value.encode()) <= 32


def _are_flights(value: Any) -> bool:
    return (
        isinstance(value, list)
        and len(value) <= _MAX_FLIGHTS
        and all(
            isinstance(flight, list)
            and len(flight) == 2
            and all(type(end) is int for end in flight)
            and 0 <= flight[0] < flight[1] < _UNIX_END
            for flight in value
        )
    )


_FLAG = Field("0 or 1", _integer(0, 1), optional=True)
_WORD = Field("1 to 64 characters of ASCII, no quotation marks", _text(r"[ !#-~]{1,64}"), True)
_KEY = Field("32 bytes, not all the same", _is_key)

FIELDS: Mapping[Key, Field] = {
    Key.VERSION: Field("1", _integer(1, 1)),
    Key.TRACKER: Field("1 to 23 of A-Z, 0-9 and hyphen", _text(r"[A-Z0-9-]{1,23}")),
    Key.KEY_VERSION: Field("1 to 255", _integer(1, 255)),
    Key.UPLINK_KEY: _KEY,
    Key.DOWNLINK_KEY: _KEY,
    Key.HOST: Field(
        "a host's name (labels of letters, digits and hyphens, at most 63 a label and 253 in all) "
        "or an IPv4 address",
        _is_host,
    ),
    Key.PORT: Field("1 to 65535", _integer(1, 65535)),
    Key.APN: Field(
        "an access point's name (labels of letters, digits and hyphens, at most 63 a label and "
        "99 in all)",
        lambda value: _are_labels(value, 99),
    ),
    Key.SHIPMENT: Field("1 to 32 bytes of text without control characters", _is_shipment),
    Key.TLS: _FLAG,
    Key.FLIGHTS: Field(
        f"at most {_MAX_FLIGHTS} of [from, until] in Unix seconds, each ending after it begins "
        "and before 2106-02-07",
        _are_flights,
        optional=True,
    ),
    Key.PIN: Field("4 to 8 digits", _text("[0-9]{4,8}"), optional=True),
    Key.APN_USER: _WORD,
    Key.APN_PASSWORD: _WORD,
    Key.SERVICE: _FLAG,
    Key.CODE: Field(
        "4 to 16 characters of ASCII, no spaces or quotation marks",
        _text("[!#-~]{4,16}"),
        optional=True,
    ),
}


def checked(key: Key, value: Any, source: str) -> Any:
    """Return the value if its field allows it; `source` names its origin.

    Raises:
        BoardError: the value is not allowed. The message omits it, because it may be a secret.
    """
    if not FIELDS[key].fits(value):
        raise BoardError(f"{source} must be {FIELDS[key].rule}.")
    return value


def check(identity: Mapping[int, Any], source: object) -> None:
    """Check a whole identity.

    Raises:
        BoardError: a field is missing or has a value that is not allowed.
    """
    for key, field in FIELDS.items():
        name = key.name.lower()
        if key not in identity:
            if field.optional:
                continue
            raise BoardError(f"{source} has no {name}: provision the tracker again.")
        if not field.fits(identity[key]):
            raise BoardError(
                f"{source}: {name} must be {field.rule}: provision the tracker again."
            )
