"""Sensing: samples, interrupts between them, flight, calibration."""
