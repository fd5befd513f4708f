"""The port layer: one module for each chip, which hides its use of ``machine``."""
