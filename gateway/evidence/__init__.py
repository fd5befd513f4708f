"""What the archive says: its blocks checked again, its findings, its places in time."""
