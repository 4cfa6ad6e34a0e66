"""What `gunicorn.conf.py` runs in gunicorn's own processes, so it imports nothing of the app."""
