"""The flash log, and the state that follows from its records."""
