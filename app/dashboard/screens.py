"""What a screen is: a name in the navigation, and routes of which each says who may.

A module of `views` makes one and adds its routes to it; nothing else knows of them.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import wraps
from http import HTTPStatus
from typing import Any

from flask import Blueprint, abort, redirect, request, url_for
from flask.typing import ResponseReturnValue

from ..jobs.kit import translate_database_errors
from . import access, cookies
from .access import Instead, Role, User
from .visit import visit

View = Callable[..., ResponseReturnValue]


@dataclass(frozen=True, slots=True)
class Route:
    rule: str
    name: str
    view: View
    method: str


@dataclass(slots=True, eq=False)
class Screen:
    """One entry of the navigation.

    Args:
        name: Begins the names of its endpoints: `url_for("jobs_dashboard.jobs")`.
        title: In the navigation and the page's title; "" for one that is not in the navigation.
        of_whole_app: It shows what is of no organization alone, and is not for those of one.
    """

    name: str
    title: str
    of_whole_app: bool = False
    routes: list[Route] = field(default_factory=list)
    needs: Role | None = field(default=Role.VIEWER, init=False)

    def page(self, rule: str, *, needs: Role | None = Role.VIEWER) -> Callable[[View], View]:
        """Serve what a view returns to whoever has the role; None is for strangers, too.

        Args:
            rule: The path below the dashboard's.
            needs: The smallest role that may see it.
        """

        def add(view: View) -> View:
            @wraps(view)
            def checked(**values: Any) -> ResponseReturnValue:
                with translate_database_errors():
                    return self._admit(needs) or view(**values)

            if view.__name__ == "index":
                self.needs = needs  # to be in one's navigation
            self._add(rule, view, checked, "GET")
            return view

        return add

    def action(self, rule: str, *, needs: Role | None) -> Callable[[View], View]:
        """Have a view change something for whoever has the role, by a form of ours only.

        A GET of its address, such as by a reload after a sign-in, changes nothing and leads to the
        jobs.

        Args:
            rule: The path below the dashboard's.
            needs: The smallest role that may do it.
        """

        def add(view: View) -> View:
            @wraps(view)
            def checked(**values: Any) -> ResponseReturnValue:
                with translate_database_errors():
                    instead = self._admit(needs)
                if instead is not None:
                    return instead
                if request.method != "POST":
                    return redirect(url_for("jobs_dashboard.jobs"))
                cookies.check_form()
                with translate_database_errors():
                    return view(**values)

            self._add(rule, view, checked, "POST")
            return view

        return add

    def is_for(self, user: User) -> bool:
        """Tell whether somebody may see it."""
        is_whole = user.organization_id is None or not self.of_whole_app
        return is_whole and (self.needs is None or user.may(self.needs))

    def add_to(self, blueprint: Blueprint) -> None:
        for route in self.routes:
            methods = ["GET", "POST"] if route.method == "POST" else ["GET"]
            blueprint.add_url_rule(
                route.rule, endpoint=route.name, view_func=route.view, methods=methods
            )

    def _admit(self, needs: Role | None) -> Instead:
        instead = access.admit(needs)
        user = visit().user
        if user and user.organization_id is not None and self.of_whole_app:
            abort(HTTPStatus.FORBIDDEN, "This is of the whole app, and you are of an organization.")
        return instead

    def _add(self, rule: str, view: View, checked: View, method: str) -> None:
        name = view.__name__
        own = self.name if name == "index" else f"{self.name}_{name}"
        self.routes.append(Route(rule, own, checked, method))
