"""A tracker's identity, with the attributes that recorder and commands use."""

from collections.abc import Sequence


class Identity:
    """A simulated tracker with a shipment; its keys protect nothing."""

    tracker = "SIM-000001"
    kid = 1
    uplink_key = bytes(range(32))
    downlink_key = bytes(range(32, 64))
    shipment = "S-1"
    flights: Sequence[Sequence[int]] = ()
