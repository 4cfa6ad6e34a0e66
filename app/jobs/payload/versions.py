"""Payloads that outlive the code: what was enqueued yesterday runs on today's schema.

A type of version n has an upgrade function from each version before it to the next, and its
envelopes say `"version": n`; without it they are of version 1.
"""

from copy import deepcopy
from typing import Any

from ..errors import DiscoveryError, InvalidDelivery, NewerPayload
from ..registry import JobConfig
from . import failures

#: Seconds to wait for the newer code: four times longer at each retry, and long before the last.
FIRST_WAIT, LONGEST_WAIT = 30, 600


def check(config: JobConfig) -> None:
    """Check at the start that every older version can be upgraded; raises `DiscoveryError`."""
    older = range(1, config.version)
    missing = [version for version in older if version not in config.upgrades]
    if config.version < 1 or missing:
        raise DiscoveryError(
            f"job type {config.type!r} has version {config.version}, which must be 1 or more, "
            f"and no upgrade function from: {', '.join(map(str, missing)) or 'version 1 on'}"
        )
    beyond = sorted(set(config.upgrades) - set(older))
    if beyond:
        raise DiscoveryError(
            f"job type {config.type!r} has version {config.version} and upgrades from {beyond}: "
            "raise its version, or take them out"
        )


def member(config: JobConfig) -> dict[str, int]:
    """Return what an envelope says of its payload's version."""
    return {"version": config.version} if config.version > 1 else {}


def refuse_newer(config: JobConfig, version: int) -> None:
    """Raise `NewerPayload` for a payload that only newer code understands."""
    if version > config.version:
        raise NewerPayload(
            f"the payload is of version {version}, and this code knows {config.type!r} up to "
            f"version {config.version}"
        )


def upgrade(
    config: JobConfig, payload: dict[str, Any], version: int, *, job_id: str
) -> dict[str, Any]:
    """Take an older payload to the present version, step by step, on a copy.

    Raises:
        InvalidDelivery: A step fails, or returns no dict.
    """
    payload = deepcopy(payload) if version < config.version else payload
    for step in range(version, config.version):
        try:
            payload = config.upgrades[step](payload)
            if not isinstance(payload, dict):
                raise TypeError(f"it returned no dict but {type(payload).__name__}")  # noqa: TRY301 - refused like all else
        except BaseException as error:  # noqa: BLE001 - a function of the author's may raise anything
            message = f"the payload cannot be upgraded from version {step} to {step + 1}"
            errors = {"payload": [failures.tell(error).error]}
            raise InvalidDelivery(message, errors, job_id=job_id) from None
    return payload


def retry_after(config: JobConfig, retried: int) -> int:
    """Return for how many seconds QStash should wait: its retries must outlast a deploy."""
    if retried + 1 >= config.retries:
        return LONGEST_WAIT
    return int(min(FIRST_WAIT * 4**retried, LONGEST_WAIT))
