"""What callers may write: ids, URLs, options, cron expressions, retry delays; each is checked here.

It reads no table and calls nobody, except `callback_urls`, which looks up names of hosts.
"""
