"""The options of a server: credentials, limits, its address and its state file."""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from .faults import Fault


@dataclass(frozen=True, slots=True)
class Credentials:
    """The token that clients send, and the keys that sign deliveries."""

    token: str
    current_signing_key: str
    next_signing_key: str


# Published by Upstash for its development server and the same on every machine, so that either
# server can stand in for the other. They are public, so they are accepted on loopback only.
DEVELOPMENT = Credentials(
    token="eyJVc2VySUQiOiJkZWZhdWx0VXNlciIsIlBhc3N3b3JkIjoiZGVmYXVsdFBhc3N3b3JkIn0=",  # noqa: S106 - public
    current_signing_key="sig_7kYjw48mhY7kAjqNGcy6cr29RJ6r",
    next_signing_key="sig_5ZB6DVzB1wjE8S6rZ7eenA8Pdnhs",
)

DAY = 86_400


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits; the defaults follow QStash's pay-as-you-go plan. None is no limit."""

    messages_per_day: int | None = None  # accepted ones and retries, by the UTC day
    requests_per_second: int | None = None  # of those that publish nothing
    schedules: int | None = None
    queues: int | None = None
    url_groups: int | None = None
    message_bytes: int = 10 * 1024 * 1024
    batch_bytes: int = 100 * 1024 * 1024
    response_bytes: int = 1024 * 1024  # kept of a destination's answer; a log entry keeps 16 KiB
    delay_seconds: int = 365 * DAY
    timeout_seconds: int = 7_200
    retries: int = 100
    parallelism_per_origin: int = 100
    retention_seconds: int = 7 * DAY  # of finished messages, logs and dead letters
    retained_messages: int = 50_000  # finished ones; the oldest go first
    retained_bytes: int = 1024**3  # of the state file, before finished messages go early


# What the plans allow, by https://upstash.com/docs/qstash/overall/pricing.md and
# https://upstash.com/pricing/qstash.md as they were in November 2026; not the size of the burst,
# which is from reports of users. "none" is what this server does without `--quota`.
QUOTAS: dict[str, Limits] = {
    "none": Limits(),
    "free": Limits(
        messages_per_day=1_000,
        requests_per_second=100,
        schedules=10,
        queues=10,
        url_groups=1,
        message_bytes=1024 * 1024,
        delay_seconds=7 * DAY,
        timeout_seconds=900,
        parallelism_per_origin=10,
        retention_seconds=3 * DAY,
    ),
    "payg": Limits(requests_per_second=100, schedules=1_000, queues=100, url_groups=100),
    "1m": Limits(
        messages_per_day=1_000_000,
        requests_per_second=100,
        message_bytes=50 * 1024 * 1024,
        parallelism_per_origin=200,
        retention_seconds=30 * DAY,
    ),
    "10m": Limits(
        messages_per_day=10_000_000,
        requests_per_second=100,
        message_bytes=50 * 1024 * 1024,
        parallelism_per_origin=1_000,
        retention_seconds=90 * DAY,
    ),
}


@dataclass(frozen=True, slots=True)
class Settings:
    """A server's options. `state` is its SQLite file, or None to keep everything in memory."""

    state: Path | None = None
    host: str = "127.0.0.1"
    port: int = 8080
    listening: int | None = None  # an open listening socket, instead of host and port
    instance: str | None = None  # in /healthz, so that its starter can recognise it
    credentials: Credentials = DEVELOPMENT
    speed: float = 1.0  # delays, backoff and cron run this many times faster
    origins: Mapping[str, str] = field(default_factory=dict)  # requested origin -> called origin
    limits: Limits = field(default_factory=Limits)
    faults: tuple[Fault, ...] = ()  # injected from the start
    fault_seed: int | None = None  # of the faults; None for a random one


@lru_cache(maxsize=64)
def is_loopback(host: str) -> bool:
    """Tell whether `host`, a name or an address without port, can only mean this machine."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"
