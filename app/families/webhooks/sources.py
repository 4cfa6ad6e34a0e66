"""Who may send: the declared sources, each with its verifier and where to find its fields."""

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

#: Makes a job's payload of the event and the sender's address.
Payload = Callable[[dict[str, Any], str | None], dict[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A sender of webhooks, who posts to `/api/webhooks/<name>`.

    Attributes:
        setting: The setting with its secrets: WEBHOOK_<NAME>_SECRET by default.
        event_header: The header with the event's name, if it is in a header.
        event_field: The dotted path of the event's name, if it is in the body.
        id_headers: Headers that may have the delivery's id; the first one present is used.
        id_field: The dotted path of the id, if it is in the body. Without any id, the body's hash
            is used.
        keep: Headers that the inbox keeps besides Content-Type and User-Agent.
        repeats_within: If no signature covers the id, the same bytes within this time are a repeat,
            whatever their id and event name.
        sealed: Whether the body is encrypted in the inbox, and so kept out of the job.
        job: The source's own job type, with the function that makes its payload.
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
        """Return the valid secrets, in the order of the setting."""
        given = str(config.get(self.setting) or "").split(",")
        return [secret.strip() for secret in given if secret.strip()]

    @property
    def is_verified(self) -> bool:
        return not isinstance(self.verifier, Unverified)


SOURCES: dict[str, Source] = {}


def source(name: str, verifier: Verifier, **options: Any) -> Source:
    """Declare a source.

    Args:
        name: In kebab case; part of the URL.
        verifier: `Hmac(…)`, `Standard()`, or, in development only, `Unverified()`.
        **options: See `Source`.

    Raises:
        DiscoveryError: A bad name, or one that is already taken.
    """
    if not _NAME.fullmatch(name):
        raise DiscoveryError(f"webhook source {name!r}: must be in kebab case, such as 'acme'")
    setting = options.pop("setting", f"WEBHOOK_{name.upper().replace('-', '_')}_SECRET")
    made = Source(name=name, verifier=verifier, setting=setting, **options)
    if SOURCES.setdefault(name, made) != made:
        raise DiscoveryError(f"webhook source {name!r} is declared twice")
    return made


def check(config: Mapping[str, Any]) -> None:
    """Check the declared sources at start-up.

    Raises:
        DiscoveryError: A source without a verifier outside development, a malformed secret, or a
            handler of an undeclared source.
    """
    for one in SOURCES.values():
        if not one.is_verified and config["APP_ENV"] != "development":
            raise DiscoveryError(
                f"webhook source {one.name!r} is Unverified(), allowed only in development: "
                "use Hmac(…) or Standard()"
            )
        for secret in one.secrets(config):
            try:
                one.verifier.check_secret(secret)
            except ValueError as error:
                raise DiscoveryError(f"{one.setting}: one of its secrets {error}") from None
    for handler in REGISTRATIONS:
        if not _WILDCARDS.search(handler.source) and handler.source not in SOURCES:
            raise DiscoveryError(
                f"{handler.name} handles webhooks of {handler.source!r}, a source that is not "
                f"declared; {hint(handler.source, sorted(SOURCES))}"
            )
