"""The channels: which are configured, and how each sends a message."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from flask import current_app
from markupsafe import escape

from app.families.alerts.messages import Message
from app.families.alerts.posting import post
from app.families.email import transport
from app.families.email.rendering import Rendered
from app.families.webhooks.verifiers import Standard

#: Seconds to wait for the recipient, if the job has that many left.
PATIENCE = 15.0

Settings = Mapping[str, Any]


def configured(config: Settings) -> list[str]:
    """Return the names of the channels whose setting is not empty."""
    return [name for name, (setting, _) in CHANNELS.items() if config[setting]]


def deliver(channel: str, message: Message, *, key: str, patience: float) -> None:
    """Send a message.

    Args:
        channel: One of `configured`.
        message: The message.
        key: The same key sends one message, if the recipient recognises keys.
        patience: Seconds left.

    Raises:
        PermanentError, RetryLater: As the recipient's answer implies.
        Exception: Anything else is worth a retry.
    """
    _, send = CHANNELS[channel]
    send(message, key, min(PATIENCE, patience))


def _email(message: Message, key: str, patience: float) -> None:
    page = f"<!doctype html><title>{escape(message.subject)}</title><pre>{escape(message.text)}"
    email = Rendered("alert", message.subject, f"{page}</pre>", message.text)
    to = current_app.config["ALERT_EMAIL"]
    transport.send(email, to=to, idempotency_key=key, patience=patience)


def _slack(message: Message, _: str, patience: float) -> None:
    """Send as in https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks ."""
    said = f"*{message.subject}*\n{message.text}"
    # Text that looks like markup must not become markup.
    for sign, written in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")):
        said = said.replace(sign, written)
    post("Slack", current_app.config["ALERT_SLACK_URL"], _json({"text": said}), patience=patience)


def _webhook(message: Message, key: str, patience: float) -> None:
    config = current_app.config
    body = _json(message.event)
    headers = Standard().sign(body, config["ALERT_WEBHOOK_SECRET"], delivery_id=key)
    post("the webhook", config["ALERT_WEBHOOK_URL"], body, patience=patience, headers=headers)


def _json(value: dict[str, Any]) -> bytes:
    return json.dumps(value).encode()


#: By name, each with the setting that it needs.
CHANNELS: dict[str, tuple[str, Callable[[Message, str, float], None]]] = {
    "email": ("ALERT_EMAIL", _email),
    "slack": ("ALERT_SLACK_URL", _slack),
    "webhook": ("ALERT_WEBHOOK_URL", _webhook),
}
