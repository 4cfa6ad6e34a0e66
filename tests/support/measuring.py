"""Measure the coverage of what every test does in the same way only once in a process.

To trace lines makes Python half as fast, and the thousandth time reaches no line more.
"""

import sys
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

_measured: set[Any] = set()


def measured_once(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a function, without the tracer of `make coverage` if it has been called by this."""
    tracer = sys.gettrace()
    # A debugger's tracer stays.
    if work not in _measured or not type(tracer).__module__.startswith("coverage"):
        _measured.add(work)
        return work(*args, **kwargs)
    sys.settrace(None)
    try:
        return work(*args, **kwargs)
    finally:
        sys.settrace(tracer)
