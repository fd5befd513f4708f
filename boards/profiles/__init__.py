"""Profiles: what a box needs, and those that ship with the project."""
