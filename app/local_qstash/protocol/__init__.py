"""The headers of QStash's API, how they are parsed, and how deliveries are signed."""
