"""A QStash-compatible server for one machine; imports `app.cron` and nothing else from the app.

A message takes one path through the package: `api` accepts it, `store` makes it durable, `engine`
decides when to send it, `engine.transport` sends it, `engine.outcome` interprets the answer.
"""
