"""One function per template: from an email's arguments to the payload that `send-email` takes.

`senders` and `enqueue` both build on these, so that now and later send the same email.
"""

from app.families.email.send_email import SendEmail


def welcome(to: str, *, recipient_name: str, dashboard_url: str) -> SendEmail:
    data = {"recipient_name": recipient_name, "dashboard_url": dashboard_url}
    return SendEmail(to, "welcome", data)


def password_reset(to: str, *, recipient_name: str, reset_url: str) -> SendEmail:
    data = {"recipient_name": recipient_name, "reset_url": reset_url}
    return SendEmail(to, "passwordReset", data)


def password_changed(to: str, *, recipient_name: str) -> SendEmail:
    return SendEmail(to, "passwordChanged", {"recipient_name": recipient_name})


def email_change(to: str, *, recipient_name: str, new_email: str) -> SendEmail:
    data = {"recipient_name": recipient_name, "new_email": new_email}
    return SendEmail(to, "emailChange", data)


def team_invitation(
    to: str, *, inviter_name: str, organization_name: str, invitation_url: str
) -> SendEmail:
    data = {
        "inviter_name": inviter_name,
        "organization_name": organization_name,
        "invitation_url": invitation_url,
    }
    return SendEmail(to, "teamInvitation", data)


def subscription_created(
    to: str, *, recipient_name: str, plan_name: str, amount: str, dashboard_url: str
) -> SendEmail:
    data = {
        "recipient_name": recipient_name,
        "plan_name": plan_name,
        "amount": amount,
        "dashboard_url": dashboard_url,
    }
    return SendEmail(to, "subscriptionCreated", data)


def payment_failed(
    to: str, *, recipient_name: str, plan_name: str, amount_due: str, payment_details_url: str
) -> SendEmail:
    data = {
        "recipient_name": recipient_name,
        "plan_name": plan_name,
        "amount_due": amount_due,
        "payment_details_url": payment_details_url,
    }
    return SendEmail(to, "paymentFailed", data)


def file_ready(
    to: str, *, what: str, file_name: str, download_url: str, available_until: str
) -> SendEmail:
    data = {
        "what": what,
        "file_name": file_name,
        "download_url": download_url,
        "available_until": available_until,
    }
    return SendEmail(to, "fileReady", data)
