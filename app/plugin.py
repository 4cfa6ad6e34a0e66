"""`flask jobs` as a plugin of Flask's command: what it can do before an app has been made.

`init` and `dev` are for an app that cannot start yet, as its settings are missing. All else is left
to the group that the app has. The wheel ships this file as well.
"""

import gc
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from traceback import walk_tb
from typing import Any

import click
from flask.cli import ScriptInfo

from . import dev_settings, lifeline

ABOUT = """Enqueue, inspect and manage background jobs.

\b
Examples:
  flask jobs types
  flask jobs list --dead --newer-than 1d
  flask jobs show 5f0c --traceback
  flask jobs doctor
"""
WITHOUT_APP = {
    "dev": "Run the app and a local QStash server until Ctrl-C",
    "init": "Write the settings to begin with, and print what is left to do",
}


#: Of the key that an app looked up in vain, and of Flask-SQLAlchemy's error.
_ADDRESS = re.compile(r"DATABASE_URL|SQLALCHEMY_DATABASE_URI")
#: Where SQLAlchemy fails for an address of another database, or one that is none.
_ENGINES = re.compile(r"sqlalchemy\.engine\.(create|url)$")

lifeline.hold()
dev_settings.join()


class JobsPlugin(click.Group):
    """Runs what needs no app, and loads the app for whatever else is asked.

    Args:
        known: What the help says of each command, where that is known without the app.
    """

    def __init__(self, known: Mapping[str, str] | None = None) -> None:
        super().__init__("jobs", help=ABOUT)
        self._known = known

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,
    ) -> click.Context:
        """Return a context of this group where that is enough, else one of the app's group."""
        if parent is None or args in ([], ["--help"]) or args[0] in WITHOUT_APP:
            return super().make_context(info_name, args, parent, **extra)
        group = _own_group(parent)
        parent.with_resource(parent.ensure_object(ScriptInfo).load_app().app_context())
        return group.make_context(info_name, args, parent, **extra)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command of the extension's, or of the app's group."""
        if cmd_name not in WITHOUT_APP:
            return _own_group(ctx).get_command(ctx, cmd_name)
        from .jobs.cli.kit import jobs  # noqa: PLC0415 - slow, and this module is always imported

        return jobs.get_command(ctx, cmd_name)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name them."""
        return list(self._known) if self._known else _own_group(ctx).list_commands(ctx)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List them with their whole first sentences; of an app that cannot start, what is left."""
        known, trouble = self._known, None
        if known is None:
            try:
                return _own_group(ctx).format_commands(ctx, formatter)
            except Exception as error:  # noqa: BLE001 - an app may fail in any way
                known, trouble = WITHOUT_APP, error
        with formatter.section("Commands"):
            formatter.write_dl(list(known.items()))
        if trouble is not None:
            said = trouble.message if isinstance(trouble, click.ClickException) else str(trouble)
            with formatter.section("The other commands need the app, which does not start"):
                formatter.write_text(said or type(trouble).__name__)
        return None


def _own_group(ctx: click.Context) -> click.Group:
    try:
        info = ctx.ensure_object(ScriptInfo)
        with _spared_by_the_collector(info):
            app = info.load_app()
    except Exception as error:
        from .jobs import JobsError  # noqa: PLC0415 - as above

        if isinstance(error, JobsError):
            raise click.UsageError(str(error)) from error
        if isinstance(error, KeyError | RuntimeError) and _ADDRESS.search(str(error)):
            raise click.UsageError(
                "The app has no database address: set DATABASE_URL, or have `flask jobs dev` run "
                "in this folder meanwhile, which brings a database."
            ) from error
        if (said := _of_the_engine(error)) is not None:
            raise click.UsageError(
                f"The app's database address cannot be used ({said}): jobs need PostgreSQL through"
                " psycopg 3, so begin it with postgresql+psycopg://"
            ) from None
        raise
    group = app.cli.commands.get("jobs")
    if not isinstance(group, click.Group):
        raise click.UsageError("This app has no jobs: its Jobs extension is not initialised.")
    return group


@contextmanager
def _spared_by_the_collector(info: ScriptInfo) -> Iterator[None]:
    """Keep the garbage collector from what an app loads, all of which stays.

    To go through it meanwhile, and once more at the end, would be a third of what a short command
    costs. A program that makes its app by itself goes on after the command: it is left alone.
    """
    if info.create_app is not None or not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
        gc.freeze()
    finally:
        gc.enable()


def _of_the_engine(error: BaseException | None) -> BaseException | None:
    """Return what SQLAlchemy raised about a database's address, if that is behind an error.

    Flask hides an import that failed in its own error, as if the app's module were missing.
    """
    while error is not None:
        if any(
            _ENGINES.match(frame.f_globals.get("__name__", ""))
            for frame, _ in walk_tb(error.__traceback__)
        ):
            return error
        error = error.__cause__ or error.__context__
    return None


jobs = JobsPlugin()
