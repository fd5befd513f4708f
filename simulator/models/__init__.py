"""The parts of a tracker, at the level of their registers, buses and commands."""
