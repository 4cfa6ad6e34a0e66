"""Send emails through Resend, or without an API key write them to a folder."""

from typing import TYPE_CHECKING

from flask import current_app

from app.families.email import mailbox, resend_client
from app.families.email.fields import sendable
from app.families.email.rendering import Rendered

if TYPE_CHECKING:
    from resend import Emails


def send(
    email: Rendered, *, to: str, idempotency_key: str | None = None, patience: float = 10
) -> str:
    """Send an email and return its message id.

    Args:
        email: As `render` returns it.
        to: A bare address.
        idempotency_key: Within a day, the same key sends one email.
        patience: Seconds to wait for Resend.

    Raises:
        PermanentError: Resend rejects this email; retrying cannot help.
        RetryLater: A rate limit or quota is exhausted.
        SendError: Resend is down, does not answer or rejects the API key; retry.
    """
    params: Emails.SendParams = {
        "from": current_app.config["RESEND_FROM_EMAIL"],
        "to": sendable(to),
        "subject": email.subject,
        "html": email.html,
        "text": email.text,
        "tags": [{"name": "template", "value": email.template}],
    }
    if current_app.config["SUPPORT_EMAIL"]:
        params["reply_to"] = current_app.config["SUPPORT_EMAIL"]
    if current_app.config["RESEND_API_KEY"]:
        return resend_client.send(params, idempotency_key=idempotency_key, patience=patience)
    return mailbox.write_email(params, idempotency_key=idempotency_key)
