"""What every answer tells a browser, unless its view has said so itself."""

from flask import Flask, Response, current_app, request

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
}
#: A year; subdomains are not ours to speak for.
HSTS = "max-age=31536000"


def init_app(app: Flask) -> None:
    app.after_request(_add)


def _add(response: Response) -> Response:
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    if _is_https():
        response.headers.setdefault("Strict-Transport-Security", HSTS)
    if request.path.startswith("/api/") and response.is_json:
        response.headers.setdefault("Cache-Control", "no-store")
    return response


def _is_https() -> bool:
    """Go by the app's own address: a proxy in front speaks plain HTTP to us."""
    config = current_app.config
    return bool(config["APP_ENV"] == "production" and config["BASE_URL"].startswith("https://"))
