"""Ids of messages, schedules and tokens: unique, in QStash's format."""

from random import Random

_random = Random()  # noqa: S311 - names, not secrets; asking the kernel for each takes longer


def new_id(prefix: str) -> str:
    """Return `prefix` followed by 160 random bits, as in `msg_…`."""
    return f"{prefix}_{_random.getrandbits(160):040x}"
