"""A board whose chip is emulated by Renode."""
