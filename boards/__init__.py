"""The boards that Coldtrail runs on, and the ``coldtrail`` command, which combines all parts."""
