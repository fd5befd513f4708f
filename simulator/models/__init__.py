"""Models of a tracker's parts at the level of registers, buses and commands."""
