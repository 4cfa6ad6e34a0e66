"""A job that is not enqueued yet, and its message when it is written out.

What is made of several jobs takes signatures: `send_email.s(SendEmail(…), delay="1m")`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypedDict, Unpack

from ..errors import InvalidOption, quoted
from ..message import Message
from ..registry import GivenUnique, get_job_config
from ..values.ids import GivenOwnerId
from ..values.options import Options, parse_duration
from .enqueuer import write
from .terms import Owner, Terms


class SignatureOptions(Options, total=False):
    """The keyword arguments of a signature: those of `enqueue` that a job among others may have."""

    user_id: GivenOwnerId | None
    organization_id: GivenOwnerId | None
    tags: Sequence[str]
    unique: GivenUnique


@dataclass(frozen=True, slots=True)
class Signature:
    """A job that is not enqueued yet.

    Attributes:
        payload: As for `enqueue`, and not checked before the signature is used.
        options: As for `enqueue`, without `session` and `idempotency_key`.
    """

    job_type: str
    payload: Any
    options: Mapping[str, Any]


def signature(job_type: str, payload: Any, **options: Unpack[SignatureOptions]) -> Signature:
    """Return a signature of a job type by its name; `send_email.s(…)` is the typed form."""
    return Signature(job_type, payload, options)


class _Owner(TypedDict):
    user_id: GivenOwnerId | None
    organization_id: GivenOwnerId | None
    tags: Any


@dataclass(frozen=True, slots=True)
class Written:
    """A signature's first message, and whose job it is.

    Attributes:
        expires_in: Seconds within which it must begin, where it is recorded later: from then on.
    """

    message: Message
    owner: Owner
    expires_in: int | None = None

    @property
    def columns(self) -> dict[str, Any]:
        """What its row has besides the message, and `expires_in`."""
        return self.owner.columns | {"expires_in": self.expires_in}


@dataclass(slots=True)
class Writer:
    """Writes out signatures of one call; what many of them have in common is checked once.

    Attributes:
        owner: Of those that name no user or organization themselves.
    """

    owner: Owner
    _terms: dict[Any, Terms] = field(default_factory=dict)

    def write(self, signature: Signature) -> Written:
        """Validate a signature and write out its job's message.

        Raises:
            UnknownJobType, InvalidPayload, InvalidOption: As `enqueue` does.
        """
        terms = self._terms_of(signature)
        message = write(terms, signature.payload)
        return Written(message, terms.owner, _expires_in(signature.options.get("expires")))

    def write_own(self, signature: Signature) -> Written:
        """Do the same for a job that others wait for, or that waits for them.

        Raises:
            InvalidOption: It is unique, so that another job might stand for it.
        """
        written = self.write(signature)
        if written.message.unique is not None:
            raise InvalidOption(
                f"unique: {signature.job_type} begins here by the end of other jobs, and another "
                "job cannot stand for it; write `.s(…, unique=False)`"
            )
        return written

    def _terms_of(self, signature: Signature) -> Terms:
        given = dict(_checked(signature).options)
        owner = _Owner(
            user_id=given.pop("user_id", self.owner.user_id),
            organization_id=given.pop("organization_id", self.owner.organization_id),
            tags=given.pop("tags", None),
        )
        unique: GivenUnique = given.pop("unique", None)
        key = (signature.job_type, *owner.values(), unique, tuple(sorted(given.items())))
        try:
            known = self._terms.get(key)
        except TypeError:  # an option such as `headers` has no hash
            return _new_terms(signature.job_type, owner, unique, given)
        return known or self._terms.setdefault(
            key, _new_terms(signature.job_type, owner, unique, given)
        )


def _new_terms(job_type: str, owner: _Owner, unique: GivenUnique, options: Any) -> Terms:
    config = get_job_config(job_type)
    if owner["tags"] is None:
        owner["tags"] = config.tags
    return Terms.given(config, Owner(**owner), options, unique)


def _expires_in(expires: Any) -> int | None:
    """Return the seconds of an option that has been checked; None where it names a moment."""
    is_moment = expires is None or isinstance(expires, datetime)
    return None if is_moment else parse_duration("expires", expires)


def _checked(signature: Any) -> Signature:
    if isinstance(signature, Signature):
        for name in ("session", "idempotency_key", "idempotency_ttl"):
            if name in signature.options:
                raise InvalidOption(
                    f"{name}: a job among others has none of its own; leave it out of its `.s(…)`"
                )
        return signature
    raise InvalidOption(
        f"{quoted(signature)} is not a signature: write `send_email.s(payload)` with your job type"
    )
