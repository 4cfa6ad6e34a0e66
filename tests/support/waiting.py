"""Wait for what happens in another thread or process."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
#: Seconds: a machine that does other things, too, may be as slow as that.
PATIENCE = 90.0


def wait_until(
    condition: Callable[[], T],
    what: str | Callable[[], str] = "the condition",
    seconds: float = PATIENCE,
) -> T:
    """Return the first true value of `condition`.

    Args:
        condition: Looks.
        what: What a failure says was waited for; called late where it is more, such as a log.
        seconds: How long to wait.
    """
    give_up_at = time.monotonic() + seconds
    while not (found := condition()):
        if time.monotonic() > give_up_at:
            raise AssertionError(f"waited in vain for {what if isinstance(what, str) else what()}")
        time.sleep(0.01)
    return found
