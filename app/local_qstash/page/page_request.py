"""One request to the page, and a view's answer."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote

from aiohttp import web

from ..api.filters import Parameters
from ..api.http import Call
from ..services import Services

_FORM_BYTES = 65_536


class Press(Call):
    """A pressed button as a call of the API: its parameters come from the page; it has no body.

    The page acts through the API's own handlers, so a button can do nothing that a client cannot.
    """

    def __init__(
        self, request: "PageRequest", names: tuple[str, ...], parameters: Parameters
    ) -> None:
        super().__init__(request.services, request.http, names)
        self._parameters = parameters

    def query(self) -> dict[str, list[str]]:
        return {name: list(values) for name, values in self._parameters.items()}

    async def json(self, *, optional: bool = False, limit: int | None = None) -> None:  # noqa: ARG002
        return None


@dataclass(frozen=True, slots=True)
class PageRequest:
    """A request for a part of the page. `name` is what follows the section in the path, if any."""

    services: Services
    http: web.BaseRequest
    section: str
    name: str | None
    query: Mapping[str, str]

    @property
    def host(self) -> str:
        return self.http.headers.get("Host", "")

    @property
    def is_poll(self) -> bool:
        """Whether the page's script asks only for the part that changes."""
        return "X-Page-Poll" in self.http.headers

    @property
    def now(self) -> int:
        return self.services.clock.now()

    def press(self, *names: str, **parameters: list[str]) -> Press:
        return Press(self, names, parameters)

    async def form(self) -> dict[str, str]:
        """Read the posted form.

        Raises:
            ApiError: 413 when it is larger than any form of the page.
        """
        body = await Call(self.services, self.http).body(_FORM_BYTES)
        return dict(parse_qsl(body.decode(errors="replace"), keep_blank_values=True))


@dataclass(frozen=True, slots=True)
class Shown:
    """A template and its values."""

    template: str
    values: dict[str, Any] = field(default_factory=dict)


View = Callable[[PageRequest], Awaitable[Shown]]


def read_page_request(services: Services, request: web.BaseRequest) -> PageRequest:
    path, _, query = request.raw_path.partition("?")
    section, _, name = path.removeprefix("/").partition("/")
    parameters = {key: value.strip() for key, value in parse_qsl(query) if value.strip()}
    return PageRequest(services, request, section, unquote(name) or None, parameters)
