"""Config files: YAML with positions, the strict schema, and what they are turned into."""
