"""A QStash-compatible server for one machine; imports `app.cron` and nothing else of the app.

A message goes one way through the package: `api` accepts it, `store` makes it durable, `engine`
decides when it may go, `engine.transport` sends it, `engine.outcome` says what the answer means.
"""
