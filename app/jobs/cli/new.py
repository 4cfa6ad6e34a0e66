"""`flask jobs new`: a job type to start from."""

from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click
from flask import current_app

from ..errors import ScaffoldRefused
from ..scaffold.kinds import KINDS
from ..scaffold.names import check_family, check_type, parse_fields
from ..scaffold.write import NewJob, files, wake_reloader, write
from .group import as_json, jobs, print_json


@jobs.command("new")
@click.argument("family")
@click.argument("job_type", metavar="TYPE")
@click.option(
    "--field",
    "given",
    multiple=True,
    metavar="NAME:TYPE",
    help="A payload field (repeatable); ? after the type makes it optional. "
    f"Types: {', '.join(KINDS)}.",
)
@click.option("--description", default="", help="One line, shown by `flask jobs types`.")
@click.option(
    "--retries",
    default=3,
    show_default=True,
    type=click.IntRange(0),
    help="Number of retries after a failure.",
)
@click.option(
    "--timeout",
    default=60,
    show_default=True,
    type=click.IntRange(1),
    help="Time limit of an attempt, in seconds.",
)
@click.option("--dry-run", is_flag=True, help="List the files, but write nothing.")
@as_json
def new_job(
    family: str, job_type: str, given: tuple[str, ...], *, dry_run: bool, as_json: bool, **rest: Any
) -> None:
    r"""Generate a job type with passing tests, in a new or existing family.

    \b
    Examples:
      flask jobs new sms send-sms --field to:str --field text:str
      flask jobs new billing close-month --field month:date --field 'note:str?' --retries 1
    """
    families = current_app.extensions["jobs"].families
    if families is None:
        raise ScaffoldRefused(
            "this app has no package of job families: pass families=… to Jobs.init_app"
        )
    new = NewJob(
        families=families,
        family=check_family(family),
        type=check_type(job_type),
        fields=parse_fields(given),
        **{**rest, "description": rest["description"] or _sentence(job_type)},
    )
    wanted = files(current_app, new)
    if not dry_run:
        write(wanted)
        if not _is_in_template():  # whose own reloader sees new files
            wake_reloader(families)
    _report(new, list(wanted), dry_run=dry_run, as_json=as_json)


def _sentence(job_type: str) -> str:
    return job_type.replace("-", " ").capitalize()


def _report(new: NewJob, paths: list[Path], *, dry_run: bool, as_json: bool) -> None:
    names = [_relative(path) for path in paths]
    if as_json:
        print_json({"type": new.type, "dryRun": dry_run, "files": names})
        return
    click.echo("Would write:" if dry_run else "Wrote:")
    for name in names:
        click.echo(f"  {name}")
    if not dry_run:
        job, test = names[-2:]
        restart, run = _how_to_go_on(test)
        click.echo(
            f"\n{new.type} is registered; nothing else needs to change. An app that runs has it\n"
            f"once it is restarted, which {restart} does by itself. Next:\n"
            f"  {run}\n"
            f"  write your code in carry_out() in {job}"
        )


def _is_in_template() -> bool:
    """Tell whether this folder has the template's Makefile, which runs the app and its tests."""
    with suppress(OSError):
        return "PYTEST_ARGS" in Path("Makefile").read_text("utf-8")
    return False


def _how_to_go_on(test: str) -> tuple[str, str]:
    """Return what restarts the app when a file is new, and the command that runs a test."""
    if _is_in_template():
        return "make dev", f'make test PYTEST_ARGS="{test}"'
    install = "" if find_spec("pytest") else "pip install pytest && "
    return "--debug", f"{install}python -m pytest {test}"


def _relative(path: Path) -> str:
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)
