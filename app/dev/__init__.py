"""Development only: an embedded PostgreSQL and the process runner of `make dev` and `make demo`.

Nothing here runs in production, and nothing here is needed by a copy of `app/jobs`.
"""
