"""A board: its file, what its chip allows, and its parts wired up."""
