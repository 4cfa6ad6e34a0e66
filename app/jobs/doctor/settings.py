"""Settings that are valid one by one, but cannot work together."""

import json
import logging
from base64 import b64decode
from typing import Any

from flask import current_app

from ..settings import misspelled
from ..values.urls import is_on_this_machine
from .checks import Finding, failure, own, passed, warning

# What the official development server publishes for its users
# (https://upstash.com/docs/qstash/howto/local-development): anybody can sign with these.
PUBLISHED_USERS = {"defaultUser", "testUser1", "testUser2", "testUser3"}
PUBLISHED_KEYS = {
    "sig_7kYjw48mhY7kAjqNGcy6cr29RJ6r",
    "sig_5ZB6DVzB1wjE8S6rZ7eenA8Pdnhs",
    "sig_7GVPjvuwsfqF65iC8fSrs1dfYruM",
    "sig_5NoELc3EFnZn4DVS5bDs2Nk4b7Ua",
    "sig_6jWGaWRxHsw4vMSPJprXadyvrybF",
    "sig_7qHbvhmahe5GwfePDiS5Lg3pi6Qx",
    "sig_5T8FcSsynBjn9mMLBsXhpacRovJf",
    "sig_7GFR4YaDshFcqsxWRZpRB161jguD",
}


@own("settings")
def names() -> Finding:
    """A setting under a wrong name does nothing, and nothing else tells."""
    if wrong := misspelled(current_app):
        return warning("; ".join(wrong), fix="rename it, or remove it")
    return passed("each setting has a name that there is")


@own("logging")
def loggers() -> Finding:
    """`logging.config.dictConfig` disables the loggers that there are, unless it is told not to."""
    package = __name__.removesuffix(".doctor.settings")
    known = logging.root.manager.loggerDict
    silent = [
        name
        for name, logger in known.items()
        if f"{name}.".startswith(f"{package}.")
        and isinstance(logger, logging.Logger)
        and logger.disabled
    ]
    if silent:
        return warning(
            f"loggers of {package} are disabled ({len(silent)}): nothing that they log is seen",
            fix="add 'disable_existing_loggers': False to what logging.config.dictConfig is given",
        )
    return passed("what jobs log can be seen")


@own("base-url")
def base_url() -> Finding:
    """QStash in the network cannot reach an address that only this machine has."""
    ours, qstash = current_app.config["BASE_URL"], current_app.config["QSTASH_URL"]
    if is_on_this_machine(ours) and not is_on_this_machine(qstash):
        return failure(
            f"{qstash} cannot reach this app at {ours}, an address of this machine only",
            fix="set BASE_URL to the app's public address, or QSTASH_URL to a local server",
        )
    if ours.startswith("http://") and not is_on_this_machine(ours):
        return warning(
            f"deliveries travel unencrypted to {ours}", fix="set BASE_URL to an https:// address"
        )
    return passed(f"deliveries go to {ours}")


@own("credentials")
def credentials() -> Finding:
    """The development server's credentials are public."""
    config = current_app.config
    published = [
        name
        for name in ("QSTASH_CURRENT_SIGNING_KEY", "QSTASH_NEXT_SIGNING_KEY")
        if config[name] in PUBLISHED_KEYS
    ]
    if _user(config["QSTASH_TOKEN"]) in PUBLISHED_USERS:
        published.append("QSTASH_TOKEN")
    if published and not is_on_this_machine(config["BASE_URL"]):
        return failure(
            f"{', '.join(published)}: public credentials, so anyone can sign deliveries",
            fix="use your own from https://console.upstash.com/qstash",
        )
    if published:
        return passed("development credentials, on this machine only")
    return passed("the credentials are not the public ones")


def _user(token: str) -> str | None:
    try:
        said: Any = json.loads(b64decode(token))
    except ValueError:
        return None
    return said.get("UserID") if isinstance(said, dict) else None
