"""The extensions, not yet bound to an app."""

from flask import Flask
from flask_limiter import Limiter
from flask_limiter.util import get_remote_address
from flask_migrate import Migrate
from werkzeug.middleware.proxy_fix import ProxyFix

from app.jobs import Jobs

migrate = Migrate()
jobs = Jobs()
#: Counts in the process's memory, or for all processes at RATELIMIT_STORAGE_URI; if
#: that is away, in memory until it is back.
limiter = Limiter(get_remote_address, in_memory_fallback_enabled=True)


def trust_proxies(app: Flask) -> None:
    """Take the client's address from those TRUSTED_PROXIES that stand before the app.

    The host and the scheme stay as they are: the app's own address is BASE_URL.
    """
    trusted = app.config["TRUSTED_PROXIES"]
    if trusted:
        proxied = ProxyFix(app.wsgi_app, x_for=trusted, x_proto=0, x_host=0)
        app.wsgi_app = proxied  # type: ignore[method-assign]  # Flask's documented way
