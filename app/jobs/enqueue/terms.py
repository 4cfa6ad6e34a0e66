"""What the jobs of one call have in common: whose they are, their options and metadata."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from .. import request_id
from ..context import current_job
from ..durations import LONGEST_DELAY
from ..errors import InvalidOption
from ..events import JobPrepared, emit
from ..registry import GivenUnique, JobConfig
from ..values import jsonb
from ..values.ids import GivenOwnerId, check_owner_id
from ..values.options import Duration, Options, parse_time
from ..values.tags import check_tags
from ..values.unique import Unique

MAX_KEY_LENGTH = 255


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """Whose a job is, and what it is found by."""

    user_id: GivenOwnerId | None = None
    organization_id: GivenOwnerId | None = None
    idempotency_key: str | None = None
    idempotency_ttl: Duration | None = None
    tags: Sequence[str] = ()

    def __post_init__(self) -> None:
        for name in ("user_id", "organization_id"):
            value = getattr(self, name)
            if value is not None:
                object.__setattr__(self, name, check_owner_id(name, value))
        key = self.idempotency_key
        if key is not None and not (isinstance(key, str) and 0 < len(key) <= MAX_KEY_LENGTH):
            raise InvalidOption(f"idempotency_key: not a text of 1 to {MAX_KEY_LENGTH} characters")
        if key is not None and jsonb.clean_text(key) != key:
            raise InvalidOption("idempotency_key: has NUL characters or unpaired surrogates")
        if self.idempotency_ttl is not None:
            object.__setattr__(self, "idempotency_ttl", self._checked_ttl())
        if self.tags != ():
            object.__setattr__(self, "tags", check_tags("tags", self.tags))

    def _checked_ttl(self) -> int:
        if self.idempotency_key is None:
            said = "there is no idempotency_key that it could be of; give one, or leave it out"
            raise InvalidOption(f"idempotency_ttl: {said}")
        seconds = parse_time("idempotency_ttl", self.idempotency_ttl)
        if seconds > LONGEST_DELAY:
            raise InvalidOption("idempotency_ttl: is more than a year; leave it out")
        return seconds

    @property
    def columns(self) -> dict[str, Any]:
        """The columns that say so."""
        return {
            "user_id": self.user_id,
            "organization_id": self.organization_id,
            "idempotency_key": self.idempotency_key,
            "idempotency_ttl": self.idempotency_ttl,
            "tags": list(self.tags) or None,
            "parent_id": parent.id if (parent := current_job.get()) else None,
        }


@dataclass(frozen=True, slots=True)
class Terms:
    """What the jobs of one call have in common.

    Attributes:
        options: Those of each message, its headers included. They are kept on the row, so that a
            later publish of the same job carries the same ones.
        metadata: As the wire has it.
        available_at: When they may be delivered at the earliest, where the options say so.
    """

    config: JobConfig
    owner: Owner
    options: Mapping[str, Any]
    metadata: Mapping[str, Any]
    available_at: datetime | None
    unique: Unique | None = None
    _limited: dict[Any, Mapping[str, Any]] = field(default_factory=dict)

    @classmethod
    def given(
        cls, config: JobConfig, owner: Owner, options: Options, unique: GivenUnique = None
    ) -> "Terms":
        """Return the terms of jobs that are enqueued now.

        Raises:
            InvalidOption: An option that QStash would refuse, or a rule that cannot hold.
        """
        rule = config.unique if unique is None else config.unique_with(unique)
        if rule is not None:
            options = _of_unique(rule, owner, options)
        return cls.of(config, owner, config.options_with(options), rule)

    @classmethod
    def of(
        cls,
        config: JobConfig,
        owner: Owner,
        options: Mapping[str, Any],
        unique: Unique | None = None,
    ) -> "Terms":
        """Do the same with options that are those of `options_with`."""
        headers = {request_id.HEADER: request_id.current_request_id()}
        emit(JobPrepared(headers))
        now = datetime.now(UTC)
        return cls(
            config=config,
            owner=owner,
            options={
                **limited(config, options, owner),
                "headers": headers | options.get("headers", {}),
            },
            metadata=metadata_of(owner, now),
            available_at=_available_at(options, now),
            unique=unique,
        )

    def options_for(self, wire: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the options of the job with a payload: the same object for the same ones."""
        limit = self.config.limit
        if limit is None or limit.is_of_owner:
            return self.options
        value = wire.get(limit.per)
        if value not in self._limited:
            self._limited[value] = limited(self.config, self.options, self.owner, wire)
        return self._limited[value]


def _of_unique(rule: Unique, owner: Owner, options: Options) -> Options:
    """Return the options of unique jobs, which a debounce puts off."""
    if owner.idempotency_key is not None:
        raise InvalidOption(
            "idempotency_key: the job is unique, and one job cannot stand for several keys; leave "
            "it out (or the uniqueness: in Python by unique=False)"
        )
    if rule.debounce is None:
        return options
    for name in ("delay", "not_before", "queue"):
        if options.get(name) is not None:
            raise InvalidOption(f"{name}: the job's debounce says when it begins; leave {name} out")
    return {**options, "delay": rule.debounce}


def limited(
    config: JobConfig,
    options: Mapping[str, Any],
    owner: Owner,
    wire: Mapping[str, Any] | None = None,
) -> Mapping[str, Any]:
    """Return options with the limit of the type for just this owner, or payload.

    A queue, or flow control of the call's own, takes its place.
    """
    limit = config.limit
    if limit is None or "queue" in options or "flow_control" in options:
        return options
    if limit.is_of_owner:
        value: object = getattr(owner, f"{limit.per}_id")
    elif wire is None:
        return options
    else:
        value = wire.get(limit.per)
    return {**options, "flow_control": limit.flow_control(config.type, value)}


def _available_at(options: Mapping[str, Any], now: datetime) -> datetime | None:
    if "not_before" in options:
        return datetime.fromisoformat(options["not_before"])
    if options.get("delay"):
        return now + timedelta(seconds=options["delay"])
    return None


def metadata_of(owner: Owner, now: datetime, *, cron: str | None = None) -> dict[str, Any]:
    """Return an envelope's metadata; `cron` is that of a schedule, which each firing then tells."""
    metadata = {
        "userId": owner.user_id,
        "organizationId": owner.organization_id,
        "idempotencyKey": owner.idempotency_key,
        "createdAt": now.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "cron": cron,
    }
    return {key: value for key, value in metadata.items() if value is not None}
