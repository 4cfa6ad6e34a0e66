"""Share between the thousands of apps of a run what Werkzeug compiles for each of their routes.

For each, it writes and compiles two functions that build URLs: more than half of what it costs to
make an app, and the same in the next one.
"""

from collections.abc import Callable
from typing import Any

from werkzeug.routing import Rule

_compile: Callable[..., Any] = Rule._compile_builder
_compiled: dict[Any, Any] = {}


def share() -> None:
    """Have each route compiled only once in this process."""
    Rule._compile_builder = _shared  # type: ignore[method-assign,assignment]


def _shared(rule: Rule, append_unknown: bool = True) -> Any:  # noqa: FBT001, FBT002 - Werkzeug's own
    if rule.defaults:  # which a converter of this app writes into the function
        return _compile(rule, append_unknown)
    key = (rule.rule, tuple(rule._trace), append_unknown)
    if key not in _compiled:
        _compiled[key] = _compile(rule, append_unknown)
    return _compiled[key]
