"""The state file: SQLite, written by one thread in groups."""
