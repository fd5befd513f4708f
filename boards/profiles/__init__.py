"""Profiles: the limits of a shipment, and the profiles that ship with the project."""
