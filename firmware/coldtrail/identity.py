"""The identity as provisioned: tracker id, keys, broker, access point, shipment."""

from collections import namedtuple

from micropython import const

from coldtrail.contract import cbor

# A tuple type is used, because an instance of a class would keep this whole module in memory.
# ``kid`` is the key version. ``flights`` are the planned ones as [from, until] in Unix seconds.
Identity = namedtuple(
    "Identity",
    (
        "tracker",
        "kid",
        "uplink_key",
        "downlink_key",
        "host",
        "port",
        "apn",
        "shipment",
        "tls",
        "flights",
        "pin",
        "apn_user",
        "apn_password",
        "service",
        "code",
    ),
)


_DIGITS = const("0123456789")
_UPPER = const("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
_LOWER = const("abcdefghijklmnopqrstuvwxyz")


def load(data):
    """Return the Identity in the CBOR map ``data``, the file ``identity.cbor``.

    Raises ValueError when a field is missing or violates provisioning.toml. Such a field would
    otherwise stop a driver in the middle of a call.
    """
    fields = cbor.decode(data)
    try:
        version = fields[0]
        values = [fields[key] for key in range(1, 9)]
    except (KeyError, TypeError):
        raise ValueError("identity.cbor is incomplete: provision again")
    if version != 1:
        raise ValueError("identity.cbor is of another version: provision again")
    for key, is_valid in (
        (1, _is_tracker),
        (2, _is_key_version),
        (3, _is_key),
        (4, _is_key),
        (5, _is_host),
        (6, _is_port),
        (7, _is_apn),
        (8, _is_shipment),
    ):
        _check(key, values[key - 1], is_valid)
    for key, default, is_valid in (
        (9, 0, _is_flag),
        (10, [], _are_flights),
        (11, None, _is_pin),
        (12, None, _is_word),
        (13, None, _is_word),
        (14, 0, _is_flag),
        (15, None, _is_code),
    ):
        value = default
        if key in fields:
            value = fields[key]
            _check(key, value, is_valid)
        values.append(value)
    return Identity(*values)


def _check(key, value, is_valid):
    if not is_valid(value):
        raise ValueError("identity.cbor, key %d, is not as it may be: provision again" % key)


def _is_integer(value, low, high):
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def _is_text(value, shortest, longest, characters):
    if not isinstance(value, str) or not shortest <= len(value) <= longest:
        return False
    return all(char in characters for char in value)


def _is_tracker(value):
    return _is_text(value, 1, 23, _UPPER + _DIGITS + "-")


def _is_key_version(value):
    return _is_integer(value, 1, 255)


def _is_key(value):
    return isinstance(value, bytes) and len(value) == 32 and value != value[:1] * 32


def _are_labels(value, longest):
    """Return whether a name has labels of letters, digits and hyphens, with dots in between."""
    if not _is_text(value, 1, longest, _UPPER + _LOWER + _DIGITS + "-."):
        return False
    for label in value.split("."):
        if not 0 < len(label) <= 63 or label[0] == "-" or label[-1] == "-":
            return False
    return True


def _is_host(value):
    if not _are_labels(value, 253):
        return False
    labels = value.split(".")
    if not _is_text(labels[-1], 1, 63, _DIGITS):
        return True
    if len(labels) != 4:
        return False
    for label in labels:  # an IPv4 address
        if not _is_text(label, 1, 3, _DIGITS) or int(label) > 255 or str(int(label)) != label:
            return False
    return True


def _is_port(value):
    return _is_integer(value, 1, 65535)


def _is_apn(value):
    return _are_labels(value, 99)


def _is_shipment(value):
    if value is None:
        return True
    if not isinstance(value, str) or not 0 < len(value.encode()) <= 32:
        return False
    return not any(char < " " or "\x7f" <= char <= "\x9f" for char in value)


def _is_flag(value):
    return _is_integer(value, 0, 1)


def _are_flights(value):
    if not isinstance(value, list) or len(value) > 8:
        return False
    for flight in value:
        if not isinstance(flight, list) or len(flight) != 2:
            return False
        begin, end = flight
        if not (_is_integer(begin, 0, 0xFFFFFFFF) and _is_integer(end, 0, 0xFFFFFFFF)):
            return False
        if begin >= end:
            return False
    return True


def _is_pin(value):
    return _is_text(value, 4, 8, _DIGITS)


def _is_word(value):
    """Return whether a text can be written between quotes in an AT command."""
    if not isinstance(value, str) or not 0 < len(value) <= 64:
        return False
    return all(" " <= char <= "~" and char != '"' for char in value)


def _is_code(value):
    """Return whether a text can be typed."""
    return _is_word(value) and 4 <= len(value) <= 16 and " " not in value
