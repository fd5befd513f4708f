"""A tracker connected by a cable: its console, its log, its self-test."""
