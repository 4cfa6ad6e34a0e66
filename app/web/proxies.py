"""The proxies in front of the app, and which of their headers are trusted."""

from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix


def init_app(app: Flask) -> None:
    """Take the client's address from the number of TRUSTED_PROXIES in front of the app.

    The host and the scheme stay as they are: the app's own address is BASE_URL.
    """
    trusted = app.config["TRUSTED_PROXIES"]
    if trusted:
        proxied = ProxyFix(app.wsgi_app, x_for=trusted, x_proto=0, x_host=0)
        app.wsgi_app = proxied  # type: ignore[method-assign]  # Flask's documented way
