"""Separate namespaces for callers' queues and flow-control keys, apart from the app's own.

Messages of one queue, or of one flow-control key, wait for each other, and QStash takes a key's
limits from the newest message that names it. So a caller who may use any name could delay
everyone's emails.
"""

import re
from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from typing import Any

from flask import current_app

from app.api.keys import Key
from app.api.request_parsing import InvalidRequest
from app.jobs.kit import OwnerId, registry_of

#: The prefix of the hash that stands for an id.
HASHED = "x-"
_PLAIN = re.compile(f"(?!{HASHED})[A-Za-z0-9_-]{{1,48}}")


def keep_apart(given: dict[str, Any], key: Key) -> None:
    """Put a key's organization before its queue and flow-control names: `org-7.reports`.

    Raises:
        InvalidRequest: The job's type has its own limits, which apply to everyone, or a name
            is already used by a job type.
    """
    _refuse_other_limits(given)
    if key.organization_id is not None:
        space = f"org-{_name(key.organization_id)}."
        if "queue" in given:
            given["queue"] = space + given["queue"]
        if "flow_control" in given:
            flow = given["flow_control"]
            given["flow_control"] = replace(flow, key=space + flow.key)
    _refuse_the_apps_own(given)


def _name(organization_id: OwnerId) -> str:
    """Return an organization's id as a part of a name, so that no two names collide.

    A text id may contain characters that a name may not, or the full stop that ends it here.
    """
    written = str(organization_id)
    if _PLAIN.fullmatch(written):
        return written
    return f"{HASHED}{sha256(written.encode()).hexdigest()[:32]}"


def _refuse_other_limits(given: dict[str, Any]) -> None:
    """Reject a queue or key for a type that has its own: its jobs must not overtake each other."""
    config = next((one for one in registry_of(current_app) if one.type == given["type"]), None)
    if config is None or (config.flow_control is None and config.queue is None):
        return
    for name, field in (("queue", "queue"), ("flow_control", "flowControl")):
        if name in given:
            said = f"Jobs of the type {config.type} have their own limits; omit it."
            raise InvalidRequest({field: [said]})


def _refuse_the_apps_own(given: dict[str, Any]) -> None:
    queue, flow = given.get("queue"), given.get("flow_control")
    said = "is used by the app; choose another name."
    if queue is not None and queue in _queues():
        raise InvalidRequest({"queue": [f"{queue} {said}"]})
    if flow is not None and flow.key in _keys():
        raise InvalidRequest({"flowControl": {"key": [f"{flow.key} {said}"]}})


def _queues() -> Iterator[str]:
    return (config.queue for config in registry_of(current_app) if config.queue is not None)


def _keys() -> Iterator[str]:
    found = (config.flow_control for config in registry_of(current_app))
    return (flow.key for flow in found if flow is not None)
