"""Who the tracker is, as provisioned: tracker id, keys, broker, access point, shipment."""

from coldtrail import cbor


class Identity:
    """The fields of ``identity.cbor``; ``kid`` is the key version."""

    def __init__(self, data):
        """Read the CBOR map; ValueError when a field is missing or of the wrong kind."""
        fields = cbor.decode(data)
        try:
            if fields[0] != 1:
                raise ValueError("identity.cbor is of another version: provision again")
            self.tracker = fields[1]
            self.kid = fields[2]
            self.uplink_key = fields[3]
            self.downlink_key = fields[4]
            self.host = fields[5]
            self.port = fields[6]
            self.apn = fields[7]
            self.shipment = fields[8]
        except (KeyError, TypeError) as error:
            raise ValueError("identity.cbor is incomplete: provision again") from error
        if len(self.uplink_key) != 32 or len(self.downlink_key) != 32:
            raise ValueError("identity.cbor has a key that is not 32 bytes: provision again")
