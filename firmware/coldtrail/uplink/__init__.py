"""Uplink: from the attach to the confirmation, and what the gateway asks for."""
