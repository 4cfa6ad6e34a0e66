"""What holds for all HTTP of the app: problem documents, headers, rate limits, trusted proxies."""
