"""The tower's database: the read model, and what people decide."""
