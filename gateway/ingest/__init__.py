"""From the broker into the archive, and confirmations and commands back to it."""
