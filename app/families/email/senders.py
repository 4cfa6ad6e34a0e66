"""Emails sent now, in the caller's thread: for where the caller wants to know that it worked.

Everywhere else the twins in `enqueue`, which take the same arguments, are better: they answer at
once and outlast an outage of Resend. All return Resend's message id, and raise:

- `InvalidPayload`: an argument does not fit; `errors` maps fields to messages.
- `PermanentError`: the address is suppressed, as it bounced or complained.
- `PermanentError`, `RetryLater`, `SendError`: see `transport.send`.
"""

from marshmallow import ValidationError

from app.families.email import transport
from app.families.email.rendering import render
from app.families.email.send_email import SendEmail, SendEmailSchema
from app.families.email.suppressions import suppressed
from app.jobs import InvalidPayload, PermanentError


def send_welcome_email(
    to: str,
    *,
    recipient_name: str | None = None,
    dashboard_url: str | None = None,
) -> str:
    """Greet somebody who signed up."""
    data = {"recipient_name": recipient_name, "dashboard_url": dashboard_url}
    return _send(SendEmail(to, "welcome", data))


def send_password_reset_email(
    to: str,
    *,
    reset_url: str,
    recipient_name: str | None = None,
) -> str:
    """Send the link with which somebody sets a new password."""
    data = {"recipient_name": recipient_name, "reset_url": reset_url}
    return _send(SendEmail(to, "passwordReset", data))


def send_password_changed_email(
    to: str,
    *,
    recipient_name: str | None = None,
) -> str:
    """Tell somebody that their password was changed."""
    data = {"recipient_name": recipient_name}
    return _send(SendEmail(to, "passwordChanged", data))


def send_email_change_email(
    to: str,
    *,
    new_email: str,
    recipient_name: str | None = None,
    confirmation_url: str | None = None,
) -> str:
    """Tell the old address that the account now has another, or have that confirmed first."""
    data = {
        "recipient_name": recipient_name,
        "new_email": new_email,
        "confirmation_url": confirmation_url,
    }
    return _send(SendEmail(to, "emailChange", data))


def send_team_invitation_email(
    to: str,
    *,
    inviter_name: str,
    organization_name: str,
    invitation_url: str,
    recipient_name: str | None = None,
) -> str:
    """Invite somebody, with or without an account, into an organization."""
    data = {
        "recipient_name": recipient_name,
        "inviter_name": inviter_name,
        "organization_name": organization_name,
        "invitation_url": invitation_url,
    }
    return _send(SendEmail(to, "teamInvitation", data))


def send_subscription_created_email(
    to: str,
    *,
    plan_name: str,
    amount: str,
    recipient_name: str | None = None,
    dashboard_url: str | None = None,
) -> str:
    """Confirm a subscription; `amount` is formatted, such as "$29.00 per month"."""
    data = {
        "recipient_name": recipient_name,
        "plan_name": plan_name,
        "amount": amount,
        "dashboard_url": dashboard_url,
    }
    return _send(SendEmail(to, "subscriptionCreated", data))


def send_payment_failed_email(
    to: str,
    *,
    amount_due: str,
    payment_details_url: str,
    recipient_name: str | None = None,
    plan_name: str | None = None,
) -> str:
    """Ask for other payment details; `amount_due` is formatted, such as "$29.00"."""
    data = {
        "recipient_name": recipient_name,
        "plan_name": plan_name,
        "amount_due": amount_due,
        "payment_details_url": payment_details_url,
    }
    return _send(SendEmail(to, "paymentFailed", data))


def send_file_ready_email(
    to: str,
    *,
    what: str,
    file_name: str,
    download_url: str,
    available_until: str,
) -> str:
    """Hand over the link to a file; `available_until` is formatted, and so is `what` it is."""
    data = {
        "what": what,
        "file_name": file_name,
        "download_url": download_url,
        "available_until": available_until,
    }
    return _send(SendEmail(to, "fileReady", data))


def _send(email: SendEmail) -> str:
    checked = _checked(email)
    reason = suppressed(checked.to, checked.template)
    if reason is not None:
        raise PermanentError(f"the address is suppressed: it {reason}; nothing was sent")
    return transport.send(render(checked.template, checked.data), to=checked.to)


def _checked(email: SendEmail) -> SendEmail:
    """Return the email as the job would get it."""
    schema = SendEmailSchema()
    try:
        loaded: SendEmail = schema.load(schema.dump(email))
    except ValidationError as error:
        raise InvalidPayload("send-email", error.messages_dict) from error
    return loaded
