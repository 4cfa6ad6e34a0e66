"""Share between the thousands of apps of a run what Werkzeug makes of each of their routes.

It takes each apart, then writes and compiles two functions that build URLs: more than half of what
it costs to make an app, and the same in the next one.
"""

from collections.abc import Callable, Iterable
from typing import Any

from werkzeug.routing import Rule

_parse: Callable[..., Iterable[Any]] = Rule._parse_rule
_parsed: dict[str, tuple[list[Any], list[Any]]] = {}
_compile: Callable[..., Any] = Rule._compile_builder
_compiled: dict[Any, Any] = {}


def share() -> None:
    """Have each route parsed and compiled only once in this process."""
    Rule._parse_rule = _shared_parts  # type: ignore[method-assign,assignment]
    Rule._compile_builder = _shared_builder  # type: ignore[method-assign,assignment]


def _shared_parts(rule: Rule, text: str) -> Iterable[Any]:
    if "<" in text:  # whose converters are of one app
        return _parse(rule, text)
    if text not in _parsed:
        before = len(rule._trace)
        _parsed[text] = list(_parse(rule, text)), rule._trace[before:]
    else:
        rule._trace.extend(_parsed[text][1])
    return _parsed[text][0]


def _shared_builder(rule: Rule, append_unknown: bool = True) -> Any:  # noqa: FBT001, FBT002 - Werkzeug's own
    if rule.defaults:  # which a converter of this app writes into the function
        return _compile(rule, append_unknown)
    key = (rule.rule, tuple(rule._trace), append_unknown)
    if key not in _compiled:
        _compiled[key] = _compile(rule, append_unknown)
    return _compiled[key]
