"""Who the tracker is, as provisioned: tracker id, keys, broker, access point, shipment."""

from collections import namedtuple

from coldtrail.contract import cbor

# A tuple type and no class of its own: an instance would keep this whole module in memory.
# ``kid`` is the key version. ``flights``: planned ones as [from, until] in Unix seconds.
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


def load(data):
    """Return the Identity in the CBOR map ``data``, the file ``identity.cbor``.

    Raises ValueError when a field is missing or not as it may be.
    """
    fields = cbor.decode(data)
    try:
        if fields[0] != 1:
            raise ValueError("identity.cbor is of another version: provision again")
        values = [fields[key] for key in range(1, 9)]
        if len(values[2]) != 32 or len(values[3]) != 32:
            raise ValueError("identity.cbor has a key that is not 32 bytes: provision again")
    except (KeyError, TypeError):
        raise ValueError("identity.cbor is incomplete: provision again")
    for key, default, is_valid in (
        (9, 0, _is_flag),
        (10, [], _are_flights),
        (11, None, _is_pin),
        (12, None, _is_word),
        (13, None, _is_word),
        (14, 0, _is_flag),
        (15, None, _is_word),
    ):
        value = fields.get(key)
        if value is None:
            value = default
        elif not is_valid(value):
            raise ValueError("identity.cbor, key %d, is not as it may be: provision again" % key)
        values.append(value)
    return Identity(*values)


def _is_flag(value):
    return value in (0, 1)


def _are_flights(value):
    if not isinstance(value, list) or len(value) > 8:
        return False
    for flight in value:
        if not isinstance(flight, list) or len(flight) != 2:
            return False
        begin, end = flight
        if not (isinstance(begin, int) and isinstance(end, int) and 0 <= begin < end < 1 << 32):
            return False
    return True


def _is_pin(value):
    return isinstance(value, str) and 4 <= len(value) <= 8 and value.isdigit()


def _is_word(value):
    """Whether it can stand between quotes in an AT command, or be typed."""
    if not isinstance(value, str) or not 0 < len(value) <= 64:
        return False
    return all(" " <= char <= "~" and char != '"' for char in value)
