"""What a server is started with: credentials, limits, an address and where its state lives."""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from .faults import Fault


@dataclass(frozen=True, slots=True)
class Credentials:
    """The token that clients show and the keys that deliveries are signed with."""

    token: str
    current_signing_key: str
    next_signing_key: str


# Published by Upstash for its development server and the same on every machine, so that either
# server can stand in for the other. Worthless as secrets: never accepted beyond loopback.
DEVELOPMENT = Credentials(
    token="eyJVc2VySUQiOiJkZWZhdWx0VXNlciIsIlBhc3N3b3JkIjoiZGVmYXVsdFBhc3N3b3JkIn0=",  # noqa: S106 - public
    current_signing_key="sig_7kYjw48mhY7kAjqNGcy6cr29RJ6r",
    next_signing_key="sig_5ZB6DVzB1wjE8S6rZ7eenA8Pdnhs",
)

DAY = 86_400


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on what is accepted and kept; the defaults follow QStash's pay-as-you-go plan."""

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


@dataclass(frozen=True, slots=True)
class Settings:
    """How one server runs. `state` is its SQLite file, or None to keep everything in memory."""

    state: Path | None = None
    host: str = "127.0.0.1"
    port: int = 8080
    listening: int | None = None  # the number of a socket that listens already, instead of both
    instance: str | None = None  # said by /healthz, so that whoever started it knows it again
    credentials: Credentials = DEVELOPMENT
    speed: float = 1.0  # delays, backoff and cron run this many times faster
    origins: Mapping[str, str] = field(default_factory=dict)  # origin asked for -> origin called
    limits: Limits = field(default_factory=Limits)
    faults: tuple[Fault, ...] = ()  # injected from the start
    fault_seed: int | None = None  # of the faults' dice; None for one by chance


def is_loopback(host: str) -> bool:
    """Say whether `host`, a name or an address without port, can mean this machine only."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"
