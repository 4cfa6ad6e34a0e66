"""What wraps handlers: the app's middleware, the first outermost, then that of the job type."""

import inspect
from collections.abc import Callable, Sequence
from typing import Any

from .context import Job
from .errors import quoted

Result = dict[str, Any] | None
#: Runs what is within, in the end the handler, and returns its result; raises what that raises.
Proceed = Callable[[], Result]
#: Takes a payload as the handler does, the job, and what to proceed with.
Middleware = Callable[[Any, Job, Proceed], Result]

_WRITE = "write `def tenancy(payload, job, proceed)`, which ends with `return proceed()`"


def around(wraps: Sequence[Middleware], payload: Any, job: Job, handler: Callable[[], Any]) -> Any:
    """Call a handler through what wraps it.

    Raises:
        TypeError: A middleware has lost the result, or what was raised.
        BaseException: Whatever one of them raises, or the handler.
    """
    if not wraps:
        return handler()
    outer, *others = wraps
    inner = _Once(lambda: around(others, payload, job, handler))
    returned = outer(payload, job, inner)
    if returned is None:
        inner.refuse_lost(_name(outer))
    return returned


def check(name: str, value: Any) -> tuple[Middleware, ...]:
    """Return what is given as `middleware`.

    Raises:
        ValueError: It is no list of functions that can be called so.
    """
    if not isinstance(value, list | tuple):
        fix = f"; write [{_name(value)}]" if callable(value) else ""
        raise ValueError(f"{name}: {quoted(value)} is not a list of functions{fix}")  # noqa: TRY004 - as for all options
    for one in value:
        if not callable(one):
            raise ValueError(f"{name}: {quoted(one)} is not a function; {_WRITE}")  # noqa: TRY004 - as above
        if (
            inspect.iscoroutinefunction(one)
            or inspect.isgeneratorfunction(one)
            or inspect.isasyncgenfunction(one)
        ):
            raise ValueError(
                f"{name}: {_name(one)} must be a plain function, also around an `async def` "
                f"handler; {_WRITE}"
            )
        _check_parameters(name, one)
    return tuple(value)


class _Once:
    """What a middleware proceeds with: what is within it, which runs once."""

    def __init__(self, call: Callable[[], Any]) -> None:
        self._call = call
        self._called = False
        self._result: Result = None
        self._error: BaseException | None = None

    def __call__(self) -> Result:
        if self._called:
            raise RuntimeError("proceed() was called twice: a handler runs once for an attempt")
        self._called = True
        try:
            self._result = self._call()
        except BaseException as error:
            self._error = error
            raise
        return self._result

    def refuse_lost(self, name: str) -> None:
        """Refuse None from a middleware where what is within it did not return that."""
        if self._error is not None:
            raise self._error
        if not self._called:
            raise TypeError(
                f"the middleware {name} returned None without proceed(): to leave the job undone, "
                "return a dict that says so, or raise RetryLater or PermanentError"
            )
        if self._result is not None:
            raise TypeError(
                f"the middleware {name} lost the result: let it end with `return proceed()`"
            )


def _check_parameters(name: str, one: Any) -> None:
    try:
        inspect.signature(one).bind(None, None, None)
    except TypeError:
        raise ValueError(
            f"{name}: {_name(one)} is called with the payload, the job and `proceed`; {_WRITE}"
        ) from None
    except ValueError:
        return  # written in C


def _name(thing: Any) -> str:
    return str(getattr(thing, "__qualname__", type(thing).__qualname__))
