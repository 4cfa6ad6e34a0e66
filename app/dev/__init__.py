"""Development only: an embedded PostgreSQL and the process runner of `make dev` and `make demo`."""
