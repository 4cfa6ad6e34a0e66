"""Emails sent later, by the job `send-email`: recorded, retried, rate-limited.

Each takes the arguments of its twin in `senders`, and the options of `app.jobs.enqueue`, whose
errors it raises: what does not fit fails here, not on rendering. All return the job's id.
"""

from typing import Unpack

from app.families.email.send_email import SendEmail, send_email
from app.jobs import JobId
from app.jobs.values.ids import OwnerId
from app.jobs.values.options import Options


class EnqueueOptions(Options, total=False):
    """Whom the job is for, and how it is to be delivered."""

    user_id: OwnerId | None
    organization_id: OwnerId | None
    idempotency_key: str | None


def send_welcome_email_async(
    to: str,
    *,
    recipient_name: str | None = None,
    dashboard_url: str | None = None,
    **options: Unpack[EnqueueOptions],
) -> JobId:
    """Greet somebody who signed up."""
    data = {"recipient_name": recipient_name, "dashboard_url": dashboard_url}
    return send_email.enqueue(SendEmail(to, "welcome", data), **options)


def send_password_reset_email_async(
    to: str,
    *,
    reset_url: str,
    recipient_name: str | None = None,
    **options: Unpack[EnqueueOptions],
) -> JobId:
    """Send the link with which somebody sets a new password."""
    data = {"recipient_name": recipient_name, "reset_url": reset_url}
    return send_email.enqueue(SendEmail(to, "passwordReset", data), **options)


def send_password_changed_email_async(
    to: str,
    *,
    recipient_name: str | None = None,
    **options: Unpack[EnqueueOptions],
) -> JobId:
    """Tell somebody that their password was changed."""
    data = {"recipient_name": recipient_name}
    return send_email.enqueue(SendEmail(to, "passwordChanged", data), **options)


def send_email_change_email_async(
    to: str,
    *,
    new_email: str,
    recipient_name: str | None = None,
    confirmation_url: str | None = None,
    **options: Unpack[EnqueueOptions],
) -> JobId:
    """Tell the old address that the account now has another, or have that confirmed first."""
    data = {
        "recipient_name": recipient_name,
        "new_email": new_email,
        "confirmation_url": confirmation_url,
    }
    return send_email.enqueue(SendEmail(to, "emailChange", data), **options)


def send_team_invitation_email_async(
    to: str,
    *,
    inviter_name: str,
    organization_name: str,
    invitation_url: str,
    recipient_name: str | None = None,
    **options: Unpack[EnqueueOptions],
) -> JobId:
    """Invite somebody, with or without an account, into an organization."""
    data = {
        "recipient_name": recipient_name,
        "inviter_name": inviter_name,
        "organization_name": organization_name,
        "invitation_url": invitation_url,
    }
    return send_email.enqueue(SendEmail(to, "teamInvitation", data), **options)


def send_subscription_created_email_async(
    to: str,
    *,
    plan_name: str,
    amount: str,
    recipient_name: str | None = None,
    dashboard_url: str | None = None,
    **options: Unpack[EnqueueOptions],
) -> JobId:
    """Confirm a subscription; `amount` is formatted, such as "$29.00 per month"."""
    data = {
        "recipient_name": recipient_name,
        "plan_name": plan_name,
        "amount": amount,
        "dashboard_url": dashboard_url,
    }
    return send_email.enqueue(SendEmail(to, "subscriptionCreated", data), **options)


def send_payment_failed_email_async(
    to: str,
    *,
    amount_due: str,
    payment_details_url: str,
    recipient_name: str | None = None,
    plan_name: str | None = None,
    **options: Unpack[EnqueueOptions],
) -> JobId:
    """Ask for other payment details; `amount_due` is formatted, such as "$29.00"."""
    data = {
        "recipient_name": recipient_name,
        "plan_name": plan_name,
        "amount_due": amount_due,
        "payment_details_url": payment_details_url,
    }
    return send_email.enqueue(SendEmail(to, "paymentFailed", data), **options)


def send_file_ready_email_async(
    to: str,
    *,
    what: str,
    file_name: str,
    download_url: str,
    available_until: str,
    **options: Unpack[EnqueueOptions],
) -> JobId:
    """Hand over the link to a file; `available_until` is formatted, and so is `what` it is."""
    data = {
        "what": what,
        "file_name": file_name,
        "download_url": download_url,
        "available_until": available_until,
    }
    return send_email.enqueue(SendEmail(to, "fileReady", data), **options)
