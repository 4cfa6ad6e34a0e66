"""One function per email: `send_…_email` sends it now, `send_…_email_async` enqueues it.

They take the arguments of the emails in `catalog`. The second kind also takes the options of
`app.jobs.enqueue`, which only `Email.enqueue` can show to a type checker.
"""

from collections.abc import Callable
from dataclasses import fields
from functools import wraps
from inspect import Parameter, signature
from typing import Any, ParamSpec, Unpack

from app.families.email.catalog import (
    Email,
    EmailChange,
    EnqueueOptions,
    PasswordChanged,
    PasswordReset,
    PaymentFailed,
    SubscriptionCreated,
    TeamInvitation,
    Welcome,
)
from app.jobs import JobId

P = ParamSpec("P")


def _now(email: Callable[P, Email]) -> Callable[P, str]:
    @wraps(email)
    def send(*args: P.args, **values: P.kwargs) -> str:
        return email(*args, **values).send()

    return send


def _later(email: type[Email]) -> Callable[..., JobId]:
    names = {field.name for field in fields(email)}

    @wraps(email)
    def send(*args: Any, **given: Any) -> JobId:
        options: Any = {name: given.pop(name) for name in given.keys() - names}
        return email(*args, **given).enqueue(**options)

    shown = signature(email)
    options = Parameter("options", Parameter.VAR_KEYWORD, annotation=Unpack[EnqueueOptions])
    send.__signature__ = shown.replace(  # type: ignore[attr-defined] # what `signature` looks for
        parameters=[*shown.parameters.values(), options], return_annotation=JobId
    )
    return send


send_welcome_email = _now(Welcome)
send_welcome_email_async = _later(Welcome)
send_password_reset_email = _now(PasswordReset)
send_password_reset_email_async = _later(PasswordReset)
send_password_changed_email = _now(PasswordChanged)
send_password_changed_email_async = _later(PasswordChanged)
send_email_change_email = _now(EmailChange)
send_email_change_email_async = _later(EmailChange)
send_team_invitation_email = _now(TeamInvitation)
send_team_invitation_email_async = _later(TeamInvitation)
send_subscription_created_email = _now(SubscriptionCreated)
send_subscription_created_email_async = _later(SubscriptionCreated)
send_payment_failed_email = _now(PaymentFailed)
send_payment_failed_email_async = _later(PaymentFailed)
