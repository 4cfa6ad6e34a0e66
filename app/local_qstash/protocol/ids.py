"""Names for messages, schedules and tokens: unique, in the shapes that QStash gives them."""

from random import Random

_random = Random()  # noqa: S311 - names, not secrets; asking the kernel for each takes longer


def new_id(prefix: str) -> str:
    """Return `prefix` with 160 random bits after it, as in `msg_…`."""
    return f"{prefix}_{_random.getrandbits(160):040x}"
