"""Trackers and shipments: registration, history, status, verification."""
