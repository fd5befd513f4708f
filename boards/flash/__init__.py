"""Putting interpreter, firmware and identity on a board."""
