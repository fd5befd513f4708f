"""The port layer: one module a chip, the only code that knows ``machine`` beyond bus objects."""
