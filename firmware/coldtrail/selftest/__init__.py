"""Self-test: every part once, with its limits; imported when asked for."""
