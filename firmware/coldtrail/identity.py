"""Who the tracker is, as provisioned: tracker id, keys, broker, access point, shipment."""

from collections import namedtuple

from coldtrail import cbor

# A tuple type and no class of its own: an instance would keep this whole module in memory.
# ``kid`` is the key version.
Identity = namedtuple(
    "Identity",
    ("tracker", "kid", "uplink_key", "downlink_key", "host", "port", "apn", "shipment"),
)


def load(data):
    """Return the Identity in the CBOR map ``data``, the file ``identity.cbor``.

    Raises ValueError when a field is missing or of the wrong kind.
    """
    fields = cbor.decode(data)
    try:
        if fields[0] != 1:
            raise ValueError("identity.cbor is of another version: provision again")
        identity = Identity(*[fields[key] for key in range(1, 9)])
        if len(identity.uplink_key) != 32 or len(identity.downlink_key) != 32:
            raise ValueError("identity.cbor has a key that is not 32 bytes: provision again")
    except (KeyError, TypeError):
        raise ValueError("identity.cbor is incomplete: provision again")
    return identity
