"""Who did what, when and why, so that nobody can hide it."""
