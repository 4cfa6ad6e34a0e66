"""Background jobs for Flask over QStash: what an app imports, beside `testing` and `events`.

What stands below `flask_qstash_jobs.jobs` is private.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .jobs import *  # noqa: F403 - the face is listed once, in `jobs.__all__`


def __getattr__(name: str) -> Any:
    # Late, as `flask` imports this package for each of its commands, also those of others.
    if name.startswith("_") and name != "__all__":
        raise AttributeError(name)
    jobs = import_module(".jobs", __name__)
    if name not in ("__all__", *jobs.__all__):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = globals()[name] = getattr(jobs, name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__getattr__("__all__")})
