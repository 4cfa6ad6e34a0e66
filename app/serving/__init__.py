"""Code for `gunicorn.conf.py`, which runs in gunicorn's processes; imports nothing from the app."""
