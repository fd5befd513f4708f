"""A tracker at the other end of a cable: its console, its log, its self-test."""
