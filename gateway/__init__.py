"""Receives, verifies, stores, confirms and judges what trackers report."""
