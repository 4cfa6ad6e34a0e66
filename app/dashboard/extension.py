"""`Dashboard`: what binds the dashboard to an app."""

from collections.abc import Callable, Collection, Iterable
from http import HTTPStatus
from pathlib import Path
from typing import Any

from flask import Blueprint, Flask, Response, abort, current_app, request, request_started
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import HTTPException

from ..jobs import DatabaseUnavailable, JobExecution, JobsError, StartRefused
from ..jobs.kit import AnyHostBlueprint
from . import access, cli, cookies, exports, panels, proxy, rendering, sign_in, views, work
from .access import Role, Way
from .exports import Export
from .panels import Content, Panel
from .policy import POLICY
from .screens import Screen
from .visit import visit

HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
Show = Callable[[JobExecution], Content]
_YEAR = 365 * 24 * 60 * 60


class Dashboard:
    """The jobs of an app in a browser, below JOBS_DASHBOARD_PREFIX.

    Keeps no app's state on itself, so it serves several apps; all have its panels and screens.
    """

    def __init__(
        self, app: Flask | None = None, *, who: Way | None = None, export: Export | None = None
    ) -> None:
        self.panels: list[Panel] = []
        self.screens: list[Screen] = []
        if app is not None:
            self.init_app(app, who=who, export=export)

    def init_app(self, app: Flask, *, who: Way | None = None, export: Export | None = None) -> None:
        """Bind to an app that has `Jobs`.

        Reads from `app.config`, and from the environment what is not there:
            JOBS_DASHBOARD: "auto" is for those whom `who` knows, and with Flask's debug mode for
                whoever is at this machine; "local" for the latter without that mode as well; "off"
                for nobody.
            JOBS_DASHBOARD_PREFIX: The path that it is below.
            JOBS_DASHBOARD_NAME: What this instance is called, such as "staging": in each title.
            JOBS_DASHBOARD_TIMEZONE: The zone of the times that it shows, such as "Europe/Berlin".
            JOBS_DASHBOARD_COLOUR: Its colour: grey, green, blue, violet, amber or red.
            ADMIN_SIGN_IN: "password" has those sign in whom `flask admin create-user` made.
            ADMIN_SESSION_IDLE, ADMIN_SESSION_MAX: When a session ends that nobody uses, and in any
                case; a time is seconds, a timedelta or a text such as "30m".
            ADMIN_PROXY: Addresses of proxies that say who asks, or networks, commas between; by
                the headers ADMIN_PROXY_USER and, if it is set, ADMIN_PROXY_GROUPS.
            ADMIN_PROXY_ROLES: Which user, or group, is what, such as "ada=admin,*=viewer".
            SECRET_KEY: Signs its forms.

        Args:
            app: The app.
            who: Called for each request: returns the `User` who asks; an answer, such as a redirect
                to the app's own sign-in; or None for somebody who may not see it.
            export: Called with a `Filter` and the `User` to have a list of jobs written to a file:
                enqueues a job that does so, and returns its id, or None where it cannot.

        Raises:
            StartRefused: The app has no `Jobs` yet, or no SECRET_KEY.
        """
        if "jobs" not in app.extensions:
            raise StartRefused("this app has no jobs yet: call Jobs(app, db) before")
        if not app.config["SECRET_KEY"] and app.config["JOBS_DASHBOARD"] != "off":
            raise StartRefused(
                "set SECRET_KEY: it signs the dashboard's forms; or set JOBS_DASHBOARD=off"
            )
        if who is not None:
            access.add_way(app, who)
        proxy.init_app(app)
        sign_in.init_app(app)
        cli.init_app(app)
        exports.init_app(app, export)
        app.extensions[panels.KEY] = self.panels
        screens = [*views.SCREENS, *self.screens]
        app.extensions["jobs.dashboard.screens"] = [one for one in screens if one.title]
        app.register_blueprint(work.bp)
        app.before_request(_hide)
        app.register_blueprint(
            new_blueprint(screens), url_prefix=app.config["JOBS_DASHBOARD_PREFIX"]
        )
        request_started.connect(_exempt, app)

    def panel(
        self,
        title: str,
        *,
        job_types: Collection[str] | None = None,
        needs: Role = Role.VIEWER,
    ) -> Callable[[Show], Show]:
        """Add what a function says of a job to the job's page, in a part of its own.

            @dashboard.panel("Invoice", job_types=["send-invoice"])
            def invoice(row: JobExecution) -> Content:
                return {"number": …, "paid": "no"}

        Args:
            title: Its heading.
            job_types: Of which jobs; by default of all.
            needs: The smallest role that may see it.
        """

        def add(show: Show) -> Show:
            self.panels.append(Panel(title, show, job_types, needs))
            return show

        return add

    def add_screen(self, screen: Screen) -> None:
        """Add a screen of the app's own, after ours in the navigation.

        Raises:
            StartRefused: There is a screen of this name.
        """
        if any(one.name == screen.name for one in (*views.SCREENS, *self.screens)):
            raise StartRefused(f"the dashboard has a screen {screen.name!r}: name yours otherwise")
        self.screens.append(screen)


def new_blueprint(screens: Iterable[Screen]) -> Blueprint:
    """Return a blueprint with the routes of all screens."""
    blueprint = AnyHostBlueprint(
        "jobs_dashboard",
        __name__,
        static_folder=str(Path(__file__).parent / "static"),
        static_url_path="/static",
    )
    for screen in screens:
        screen.add_to(blueprint)
    blueprint.add_url_rule("/<path:_>", endpoint="unknown", view_func=_unknown)
    blueprint.after_request(_finish)
    blueprint.register_error_handler(HTTPException, _http_error)
    blueprint.register_error_handler(DatabaseUnavailable, _unavailable)
    blueprint.register_error_handler(JobsError, _refused)
    return blueprint


def _hide() -> None:
    """Answer 404 to any request below the prefix while nobody may see anything there.

    Before the app itself answers by a redirect, or that another method is allowed.
    """
    prefix = current_app.config["JOBS_DASHBOARD_PREFIX"]
    is_below = request.path == prefix or request.path.startswith(f"{prefix}/")
    if is_below and not access.exists():
        access.hide()


def _unknown(_: str) -> ResponseReturnValue:
    return access.admit(Role.VIEWER) or abort(HTTPStatus.NOT_FOUND, "There is no such page.")


def _exempt(app: Flask, **_: Any) -> None:
    """Have Flask-WTF's CSRFProtect, where the app has it, leave our forms to our own check."""
    protection = app.extensions.get("csrf")
    if protection is not None and request.blueprint == "jobs_dashboard":
        protection.exempt(app.view_functions[request.endpoint or ""])


def _finish(response: Response) -> Response:
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    is_static = request.endpoint == "jobs_dashboard.static"
    if is_static and "v" in request.args:  # whose address changes with what it says
        response.headers["Cache-Control"] = f"private, max-age={_YEAR}, immutable"
    elif not is_static:
        response.headers["Cache-Control"] = "no-store"
    path = request.script_root + current_app.config["JOBS_DASHBOARD_PREFIX"]
    return cookies.save(response, path)


def _http_error(error: HTTPException) -> ResponseReturnValue:
    response = error.get_response()
    if response.status_code < HTTPStatus.BAD_REQUEST:
        return response
    return rendering.problem(response.status_code, error.description or error.name)


def _unavailable(error: DatabaseUnavailable) -> ResponseReturnValue:
    # A stranger, of whom the database could not be asked, is not told its address.
    said = str(error) if visit().user else "The database cannot be asked who you are; try again."
    return rendering.problem(HTTPStatus.SERVICE_UNAVAILABLE, said)


def _refused(error: JobsError) -> ResponseReturnValue:
    return rendering.problem(HTTPStatus.BAD_REQUEST, str(error))
