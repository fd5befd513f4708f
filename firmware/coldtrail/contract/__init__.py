"""The uplink contract: blocks, confirmations, CBOR, COSE (firmware/uplink.cddl)."""
