"""The page at `/`: the server's messages and settings, live."""
