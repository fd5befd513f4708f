"""Simulates the board, the network and the world for the unmodified firmware."""
