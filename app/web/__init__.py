"""HTTP for the whole app: problem documents, headers, rate limits, trusted proxies."""
