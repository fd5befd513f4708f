"""The boards Coldtrail runs on, and the command that gathers the parts."""
