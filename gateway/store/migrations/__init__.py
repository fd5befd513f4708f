"""How the schema of each database comes to be what this program knows, step by step."""
