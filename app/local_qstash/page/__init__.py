"""The page at `/`: what the server holds, live, for the person at this machine."""
