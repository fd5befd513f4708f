"""Drivers: registers and datasheets, nothing of the application."""
