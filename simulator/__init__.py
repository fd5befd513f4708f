"""Plays the board, the network and the world to unmodified firmware."""
