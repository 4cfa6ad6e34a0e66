"""The errors a client or an operator meets.

LocalQStashError
├── ApiError          an answer of QStash's shape: {"error": message}
│   ├── QuotaError     429: a limit of the plan, with the headers that say when it is renewed
│   └── WorkflowError  a message of Upstash Workflow, which this server has not
├── HttpError         a destination's answer is not HTTP as it should be
├── InvalidFaultError a fault to inject is not written as it should be
└── StateFileError    the state file cannot be used; the message says why
"""

from collections.abc import Mapping


class LocalQStashError(Exception):
    """Base of everything this package raises on purpose."""


class ApiError(LocalQStashError):
    """Refuse a request with `status` and a message for the caller."""

    headers: Mapping[str, str] = {}

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class HttpError(LocalQStashError):
    """What a destination answered cannot be read."""


class QuotaError(ApiError):
    """Refuse a request for now; `prefix` tells a burst's headers from those of the day."""

    def __init__(self, message: str, *, limit: int, reset: int, prefix: str = "") -> None:
        super().__init__(429, message)
        values = {"Limit": limit, "Remaining": 0, "Reset": reset}
        self.headers = {f"{prefix}RateLimit-{name}": str(value) for name, value in values.items()}


class WorkflowError(ApiError):
    """Refuse a message of Upstash Workflow, which would only fail later."""

    def __init__(self, header: str) -> None:
        super().__init__(400, f"header {header!r}: Upstash Workflow is not part of this server")


def no_room(what: str, limit: int) -> ApiError:
    """Refuse to make one more of what the plan has a number of."""
    return ApiError(412, f"quota {what} exceeded: at most {limit}")


def bad_request(message: str) -> ApiError:
    return ApiError(400, message)


def not_found(what: str, name: str) -> ApiError:
    return ApiError(404, f"{what} {name} not found")


class InvalidFaultError(LocalQStashError):
    """A fault is unknown, or its share or detail is invalid; the message names the fix."""


class StateFileError(LocalQStashError):
    """The state file is not ours, damaged, newer than this program, or in use."""
