"""Who may send: the declared sources, each with its verifier and where its facts stand."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from app.families.webhooks.handlers import REGISTRATIONS
from app.families.webhooks.verifiers import Unverified, Verifier
from app.jobs import DiscoveryError
from app.jobs.kit import hint

_NAME = re.compile(r"[a-z][a-z0-9-]{0,49}")
_WILDCARDS = re.compile(r"[*?\[]")

#: From the event, its data and the sender's address to a job's payload.
Payload = Callable[[dict[str, Any], str | None], dict[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A sender of webhooks, who posts to `/api/webhooks/<name>`.

    Attributes:
        setting: Which setting has its secrets: WEBHOOK_<NAME>_SECRET unless given.
        event_header: Where the event's name stands, if in a header.
        event_field: Likewise, if in the body; dots lead into it.
        id_headers: Where the id of the delivery may stand: the first that is there counts.
        id_field: Likewise, in the body. Where there is none, it is made of the body's hash.
        keep: Headers that the inbox keeps beside Content-Type and User-Agent.
        repeats_within: Where no signature covers the id, bytes that came once within this time are
            a repeat, whatever their id and event's name.
        sealed: Whether the body is encrypted in the inbox, and so kept out of the job.
        job: A job type of its own, with the function that makes its payload.
    """

    name: str
    verifier: Verifier
    setting: str
    event_header: str | None = None
    event_field: str | None = None
    id_headers: tuple[str, ...] = ()
    id_field: str | None = None
    keep: tuple[str, ...] = ()
    repeats_within: timedelta = timedelta(days=1)
    sealed: bool = False
    job: tuple[str, Payload] | None = None

    def secrets(self, config: Mapping[str, Any]) -> list[str]:
        """Return the secrets that count, in the order of the setting."""
        given = str(config.get(self.setting) or "").split(",")
        return [secret.strip() for secret in given if secret.strip()]

    @property
    def is_verified(self) -> bool:
        return not isinstance(self.verifier, Unverified)


SOURCES: dict[str, Source] = {}


def source(name: str, verifier: Verifier, **options: Any) -> Source:
    """Declare a source.

    Args:
        name: In kebab case; it stands in the URL.
        verifier: `Hmac(…)`, `Standard()`, or, in development only, `Unverified()`.
        **options: See `Source`.

    Raises:
        DiscoveryError: A bad name, or one that is taken by another.
    """
    if not _NAME.fullmatch(name):
        raise DiscoveryError(f"webhook source {name!r}: not a name in kebab case, such as 'acme'")
    setting = options.pop("setting", f"WEBHOOK_{name.upper().replace('-', '_')}_SECRET")
    made = Source(name=name, verifier=verifier, setting=setting, **options)
    if SOURCES.setdefault(name, made) != made:
        raise DiscoveryError(f"webhook source {name!r} is declared twice")
    return made


def check(config: Mapping[str, Any]) -> None:
    """Check at the start what was declared.

    Raises:
        DiscoveryError: A source without a verifier outside development, a malformed secret, or a
            handler of a source that there is not.
    """
    for one in SOURCES.values():
        if not one.is_verified and config["APP_ENV"] != "development":
            raise DiscoveryError(
                f"webhook source {one.name!r} is Unverified(), which only development takes: "
                "give it Hmac(…) or Standard()"
            )
        for secret in one.secrets(config):
            try:
                one.verifier.check_secret(secret)
            except ValueError as error:
                raise DiscoveryError(f"{one.setting}: a secret in it {error}") from None
    for handler in REGISTRATIONS:
        if not _WILDCARDS.search(handler.source) and handler.source not in SOURCES:
            raise DiscoveryError(
                f"{handler.name} handles webhooks of {handler.source!r}, a source that is not "
                f"declared; {hint(handler.source, sorted(SOURCES))}"
            )
