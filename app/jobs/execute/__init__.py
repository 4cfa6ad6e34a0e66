"""The second half of a job's way, told by `executor`: verify, parse, claim, execute, record."""
