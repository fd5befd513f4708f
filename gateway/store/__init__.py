"""The databases: their tables, and what can be asked of them within one transaction."""
