"""Blueprints of an app that routes by host (`Flask(host_matching=True)`), too.

There a route without a host matches no request, but what leads to the app need not be what the
app's other routes are told apart by: deliveries come to BASE_URL, scrapers to an address inside.
"""

from collections.abc import Callable
from typing import Any

from flask import Blueprint, current_app, has_request_context, request
from flask.blueprints import BlueprintSetupState
from flask.sansio.app import App
from flask.typing import RouteCallable

_NAME = "jobs_host"


class AnyHostBlueprint(Blueprint):
    """A blueprint whose routes are there at any host, in whatever way the app routes."""

    def __init__(self, name: str, import_name: str, **options: Any) -> None:
        super().__init__(name, import_name, **options)
        self.url_value_preprocessor(_forget)
        self.url_defaults(_remember)

    def make_setup_state(
        self,
        app: App,
        options: dict[str, Any],
        first_registration: bool = False,  # noqa: FBT001, FBT002 - Flask's own
    ) -> BlueprintSetupState:
        """Return what registers the routes."""
        return _State(self, app, options, first_registration)


class _State(BlueprintSetupState):
    def add_url_rule(
        self,
        rule: str,
        endpoint: str | None = None,
        view_func: RouteCallable | Callable[..., Any] | None = None,
        **options: Any,
    ) -> None:
        if self.app.url_map.host_matching:
            options.setdefault("host", f"<{_NAME}>")
        super().add_url_rule(rule, endpoint, view_func, **options)


def _forget(_: str | None, values: dict[str, Any] | None) -> None:
    """Keep the host from the views, which do not ask for it."""
    if values is not None:
        values.pop(_NAME, None)


def _remember(_: str, values: dict[str, Any]) -> None:
    """Lead to the host of the current request, where a URL is made of an endpoint."""
    if has_request_context() and current_app.url_map.host_matching:
        values.setdefault(_NAME, request.host)
