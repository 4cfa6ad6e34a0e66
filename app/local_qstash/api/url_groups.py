"""URL groups, called topics on the wire."""

from typing import Any

from ..engine.url_groups import Endpoint, UrlGroup
from ..errors import bad_request, not_found
from ..protocol.destinations import check_name, check_url
from .http import Call, Route
from .publish import config_pairs

_MAX_ENDPOINTS = 100


async def add_endpoints(call: Call) -> None:
    name = check_name(call.names[0], "URL group name")
    endpoints = _endpoints(await call.json())
    for endpoint in endpoints:
        check_url(endpoint.get("url", ""), "endpoint url")
    if len(endpoints) > _MAX_ENDPOINTS:
        raise bad_request(f"a URL group has at most {_MAX_ENDPOINTS} endpoints")
    await call.services.groups.add(name, endpoints)


async def remove_endpoints(call: Call) -> None:
    group = _existing(call)
    await call.services.groups.remove(group.name, _endpoints(await call.json()))


async def set_headers(call: Call) -> None:
    """Set default headers for publishes to the group."""
    group, body = _existing(call), await call.json()
    headers = body.get("headers") if isinstance(body, dict) else None
    if not isinstance(headers, dict):
        raise bad_request('the body is {"headers": {name: value or list of values}}')
    listed = {
        name: value if isinstance(value, list) else [value] for name, value in headers.items()
    }
    if not all(isinstance(value, str) for values in listed.values() for value in values):
        raise bad_request("headers: values are strings or lists of strings")
    config_pairs((name, value) for name, values in listed.items() for value in values)
    await call.services.groups.set_headers(group.name, listed)


async def list_groups(call: Call) -> Any:
    return [_view(group) for group in call.services.groups.groups.values()]


async def get_group(call: Call) -> Any:
    return _view(_existing(call))


async def delete_group(call: Call) -> None:
    await call.services.groups.delete(call.names[0])


def _existing(call: Call) -> UrlGroup:
    group = call.services.groups.groups.get(call.names[0])
    if group is None:
        raise not_found("URL group", call.names[0])
    return group


def _endpoints(body: object) -> list[Endpoint]:
    items = body.get("endpoints") if isinstance(body, dict) else None
    if not isinstance(items, list) or not items:
        raise bad_request('the body is {"endpoints": [{"url", "name"?}, ...]}')
    return [_endpoint(item) for item in items]


def _endpoint(item: object) -> Endpoint:
    if not isinstance(item, dict):
        raise bad_request("an endpoint is an object with url and name")
    kept = {key: item[key] for key in ("url", "name") if item.get(key) is not None}
    if not kept or not all(isinstance(value, str) for value in kept.values()):
        raise bad_request("an endpoint's url and name are strings, and one of them is given")
    return kept


def _view(group: UrlGroup) -> dict[str, Any]:
    return {
        "name": group.name,
        "createdAt": group.created_at,
        "updatedAt": group.updated_at,
        "endpoints": group.endpoints,
    } | ({"headers": group.headers} if group.headers else {})


ROUTES: list[Route] = [
    ("POST", "topics/*/endpoints", add_endpoints),
    ("DELETE", "topics/*/endpoints", remove_endpoints),
    ("PATCH", "topics/*", set_headers),
    ("GET", "topics", list_groups),
    ("GET", "topics/*", get_group),
    ("DELETE", "topics/*", delete_group),
]
