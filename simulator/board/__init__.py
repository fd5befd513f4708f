"""A board: its file, the rules of its chip, and its wired parts."""
