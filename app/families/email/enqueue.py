"""Emails sent later, by the job `send-email`: recorded, retried, rate-limited.

Each takes the arguments of its twin in `senders`, and the options of `app.jobs.enqueue`, whose
errors it raises: what does not fit fails here, not on rendering. All return the job's id.
"""

from typing import Unpack

from app.families.email import messages
from app.families.email.send_email import send_email
from app.jobs.ids import OwnerId
from app.jobs.options import Options


class EnqueueOptions(Options, total=False):
    """Whom the job is for, and how it is to be delivered."""

    user_id: OwnerId | None
    organization_id: OwnerId | None
    idempotency_key: str | None


def send_welcome_email_async(
    to: str,
    *,
    recipient_name: str,
    dashboard_url: str,
    **options: Unpack[EnqueueOptions],
) -> str:
    """Greet somebody who signed up."""
    email = messages.welcome(to, recipient_name=recipient_name, dashboard_url=dashboard_url)
    return send_email.enqueue(email, **options)


def send_password_reset_email_async(
    to: str,
    *,
    recipient_name: str,
    reset_url: str,
    **options: Unpack[EnqueueOptions],
) -> str:
    """Send the link with which somebody sets a new password."""
    email = messages.password_reset(to, recipient_name=recipient_name, reset_url=reset_url)
    return send_email.enqueue(email, **options)


def send_password_changed_email_async(
    to: str,
    *,
    recipient_name: str,
    **options: Unpack[EnqueueOptions],
) -> str:
    """Tell somebody that their password was changed."""
    email = messages.password_changed(to, recipient_name=recipient_name)
    return send_email.enqueue(email, **options)


def send_email_change_email_async(
    to: str,
    *,
    recipient_name: str,
    new_email: str,
    **options: Unpack[EnqueueOptions],
) -> str:
    """Tell the old address that the account now has another."""
    email = messages.email_change(to, recipient_name=recipient_name, new_email=new_email)
    return send_email.enqueue(email, **options)


def send_team_invitation_email_async(
    to: str,
    *,
    inviter_name: str,
    organization_name: str,
    invitation_url: str,
    **options: Unpack[EnqueueOptions],
) -> str:
    """Invite somebody, with or without an account, into an organization."""
    email = messages.team_invitation(
        to,
        inviter_name=inviter_name,
        organization_name=organization_name,
        invitation_url=invitation_url,
    )
    return send_email.enqueue(email, **options)


def send_subscription_created_email_async(
    to: str,
    *,
    recipient_name: str,
    plan_name: str,
    amount: str,
    dashboard_url: str,
    **options: Unpack[EnqueueOptions],
) -> str:
    """Confirm a subscription; `amount` is formatted, such as "$29.00 per month"."""
    email = messages.subscription_created(
        to,
        recipient_name=recipient_name,
        plan_name=plan_name,
        amount=amount,
        dashboard_url=dashboard_url,
    )
    return send_email.enqueue(email, **options)


def send_payment_failed_email_async(
    to: str,
    *,
    recipient_name: str,
    plan_name: str,
    amount_due: str,
    payment_details_url: str,
    **options: Unpack[EnqueueOptions],
) -> str:
    """Ask for other payment details; `amount_due` is formatted, such as "$29.00"."""
    email = messages.payment_failed(
        to,
        recipient_name=recipient_name,
        plan_name=plan_name,
        amount_due=amount_due,
        payment_details_url=payment_details_url,
    )
    return send_email.enqueue(email, **options)
