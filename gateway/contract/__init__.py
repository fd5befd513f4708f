"""The uplink contract as the gateway reads it (`firmware/uplink.cddl`): bytes, limits, words."""
