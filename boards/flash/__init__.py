"""Writing interpreter, firmware and identity to a board."""
