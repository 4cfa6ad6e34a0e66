"""How a view describes itself for the OpenAPI document; `openapi` writes that."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from marshmallow import Schema

V = TypeVar("V", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One endpoint and method.

    Attributes:
        summary: One line.
        scopes: The API key needs one of these.
        security: Names of security schemes, each sufficient by itself; none for public endpoints.
        query: The schema of the query string.
        body: A schema, or the name of one that `openapi` makes.
        answers: By status, a schema, a JSON schema, or None without a body.
        media_type: The answers' media type.
        problems: Statuses that are answered with a problem document.
    """

    summary: str
    scopes: tuple[str, ...] = ()
    security: tuple[str, ...] = ()
    query: type[Schema] | None = None
    body: type[Schema] | dict[str, Any] | str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    answers: Mapping[int, type[Schema] | dict[str, Any] | None]
    media_type: str = "application/json"
    problems: tuple[int, ...] = ()


def documented(operation: Operation) -> Callable[[V], V]:
    """Attach a view's description for the OpenAPI document; apply it below the route."""

    def attach(view: V) -> V:
        view.operation = operation  # type: ignore[attr-defined]  # functions take attributes
        return view

    return attach
