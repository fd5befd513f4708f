"""The read model: what the archive says, kept ready; each row follows from the blocks alone."""
