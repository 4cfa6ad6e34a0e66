"""Where a thread may be interrupted from outside without leaving work half done."""

from types import FrameType

#: Code that acquires locks, hands out connections or makes atomic writes; nothing that it calls is
#: interrupted. With all their submodules.
_CRITICAL = (
    "concurrent.futures",
    "importlib",
    "logging",
    "multiprocessing",
    "prometheus_client",
    "psycopg",
    "psycopg_pool",
    "queue",
    "sqlalchemy.engine.base",
    "sqlalchemy.engine.default",
    "sqlalchemy.orm.session",
    "sqlalchemy.orm.state_changes",
    "sqlalchemy.pool",
    "sqlalchemy.util",
    "threading",
    "weakref",
    "_weakrefset",
)
#: The same for our own code.
OURS = tuple(
    f"{__package__}.{name}"
    for name in ("deadline", "enqueue.enqueuer", "execute.heartbeat",
                 "publish.background", "publish.outbox", "publish.qstash", "table.attempts",
                 "table.job_rows", "table.db")
)  # fmt: skip
_ALL = frozenset({*_CRITICAL, *OURS})
_ROOTS = tuple(f"{name}." for name in sorted(_ALL))

#: The code of event loops, with which ours waits for a loop that is written in C.
_LOOPS = frozenset({"selectors", f"{__package__}.execute.coroutines"})
#: Interrupted here, a block would never be entered, or never left.
_ON_THE_WAY = frozenset({"contextlib"})


def is_in_loop(innermost: FrameType) -> bool:
    """Tell whether a thread is in the code of an event loop, and not in what that runs."""
    module = innermost.f_globals.get("__name__") or ""
    return module in _LOOPS or module.startswith("asyncio.")


def is_interruptible(innermost: FrameType, base: FrameType | None) -> bool:
    """Tell whether an exception may be raised in `innermost`, checking callers up to `base`."""
    if innermost.f_globals.get("__name__") in _ON_THE_WAY:
        return False
    frame: FrameType | None = innermost
    while frame is not None:
        if _is_critical(frame):
            return False
        if frame is base:
            return True
        frame = frame.f_back
    return False  # not inside, or no longer


def is_swallowing(innermost: FrameType, base: FrameType | None) -> bool:
    """Tell whether only a `__del__` keeps an exception from being raised."""
    frame: FrameType | None = innermost
    swallowed = False
    while frame is not None and frame is not base:
        swallowed = swallowed or frame.f_code.co_name == "__del__"
        if _is_critical(frame) and frame.f_code.co_name != "__del__":
            return False
        frame = frame.f_back
    return swallowed and frame is not None


def _is_critical(frame: FrameType) -> bool:
    # Python ignores exceptions in a `__del__`, so it would be lost.
    if frame.f_code.co_name == "__del__":
        return True
    module = frame.f_globals.get("__name__") or ""
    return module in _ALL or module.startswith(_ROOTS)
