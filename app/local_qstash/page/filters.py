"""The filters of the lists of messages and dead letters, read from the query string."""

from collections.abc import Callable, Iterable
from typing import Any

from ..api.filters import Where
from .page_request import PageRequest

# Parameter -> its label and its condition. The first three are fields of the form, the others come
# from links elsewhere on the page.
FILTERS: dict[str, tuple[str, Callable[[str], tuple[str, str]]]] = {
    "url": ("URL contains", lambda value: ("instr(m.url, ?)", value)),
    "label": ("Label", lambda value: ("instr(m.labels, ?)", f",{value},")),
    "id": ("Message id", lambda value: ("m.id = ?", value)),
    "queue": ("Queue", lambda value: ("m.queue = ?", value)),
    "schedule": ("Schedule", lambda value: ("m.schedule_id = ?", value)),
    "group": ("URL group", lambda value: ("m.topic = ?", value)),
    "flow": ("Flow-control key", lambda value: ("m.flow_key = ?", value)),
}
INDEXED = frozenset({"id", "schedule"})  # quick to find among any number of messages
_FIELDS = ("url", "label", "id")


def narrow(chosen: Where, request: PageRequest, names: Iterable[str] = FILTERS) -> None:
    """Add the conditions of those filters among `names` that the request's query string has."""
    for name in FILTERS.keys() & set(names) & request.query.keys():
        chosen.add(*FILTERS[name][1](request.query[name]))


def given(request: PageRequest) -> dict[str, Any]:
    """Return the form's fields with their values, and the filters that came from a link."""
    values = {name: request.query.get(name, "") for name in FILTERS}
    return {
        "fields": [(name, FILTERS[name][0], values[name]) for name in _FIELDS],
        "linked": [
            (name, FILTERS[name][0], value)
            for name, value in values.items()
            if value and name not in _FIELDS
        ],
        "any": any(values.values()),
    }
