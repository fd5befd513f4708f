"""Quectel BG95: one file a stage, imported when needed and given back."""
