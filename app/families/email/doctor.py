"""Checks of Resend's settings for `flask jobs doctor`."""

from email.utils import parseaddr
from http import HTTPStatus
from typing import TYPE_CHECKING

from flask import current_app

from app.families.email import bp, resend_client
from app.jobs import doctor
from app.jobs.doctor import Finding

if TYPE_CHECKING:
    from resend.exceptions import ResendError

PATIENCE = 8.0
DOMAINS = "https://resend.com/domains"
#: Resend's own domain, from which it sends only to the account's owner.
TRIAL = "resend.dev"


@doctor.check(bp, "resend-key")
def resend_key() -> Finding:
    """Without this check, a bad key or an unverified domain shows when the first email fails."""
    from resend.exceptions import ResendError  # noqa: PLC0415 - slow to import

    if not current_app.config["RESEND_API_KEY"]:
        return doctor.passed("without RESEND_API_KEY, emails go to the mailbox folder")
    try:
        domains = resend_client.domains(patience=PATIENCE)
    except ResendError as error:
        return _refused(error)
    status = domains.get(_sender_domain())
    if status == "verified":
        return doctor.passed(f"Resend accepts the key, and {_sender_domain()} is verified")
    if _sender_domain() == TRIAL:
        return doctor.passed(f"Resend accepts the key; from {TRIAL} it sends only to you")
    said = f"its status is {status}" if status else "Resend does not know it"
    return doctor.failure(
        f"{_sender_domain()} of RESEND_FROM_EMAIL is not verified: {said}",
        fix=f"verify it at {DOMAINS}, or send from one that is",
    )


@doctor.check(bp, "resend-domain", production=True)
def resend_domain() -> Finding:
    if _sender_domain() == TRIAL:
        return doctor.failure(
            f"RESEND_FROM_EMAIL is at {TRIAL}, from which Resend sends only to you",
            fix=f"verify your own domain at {DOMAINS}, and send from it",
        )
    return doctor.passed(f"emails are sent from {_sender_domain()}")


@doctor.check(bp, "support-email", production=True)
def support_email() -> Finding:
    address = current_app.config["SUPPORT_EMAIL"]
    if not address:
        return doctor.warning(
            "SUPPORT_EMAIL is empty: emails do not say how to get help",
            fix="set SUPPORT_EMAIL to an address that someone reads",
        )
    return doctor.passed(f"replies to emails go to {address}")


def _refused(error: "ResendError") -> Finding:
    status = int(error.code)
    if error.error_type == "restricted_api_key":
        return doctor.passed("Resend accepts the key, which may only send")
    if error.error_type == "HttpClientError" or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return doctor.warning(
            f"Resend cannot be reached: {error.message}", fix="see https://resend-status.com"
        )
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return doctor.warning(
            "Resend's rate limit is reached", fix="run the check again in a minute"
        )
    return doctor.failure(
        f"Resend rejects the key: {status} {error.error_type}",
        fix="set RESEND_API_KEY to a key from https://resend.com/api-keys",
    )


def _sender_domain() -> str:
    return parseaddr(current_app.config["RESEND_FROM_EMAIL"])[1].rpartition("@")[2].lower()
