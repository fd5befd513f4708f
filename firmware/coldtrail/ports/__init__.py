"""The port layer, one module for each chip: only it uses ``machine`` beyond bus objects."""
