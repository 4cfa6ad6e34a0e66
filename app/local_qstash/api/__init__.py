"""The REST API of QStash, one module per noun."""
