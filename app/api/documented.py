"""What a view says of itself, for the OpenAPI document; `openapi` writes it down."""

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
        scopes: Of an API key; one of them is needed.
        security: The names of security schemes, each enough by itself; none for public endpoints.
        query: What may stand behind the question mark.
        body: A schema, or the name of one that `openapi` makes.
        answers: From a status to a schema, to a JSON schema, or to None where there is no body.
        media_type: Of the answers.
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
    """Attach to a view what the OpenAPI document says of it; apply it below the route."""

    def attach(view: V) -> V:
        view.operation = operation  # type: ignore[attr-defined]  # functions take attributes
        return view

    return attach
