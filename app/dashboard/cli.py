"""`flask admin …`: who may sign in to the dashboard by a password."""

import sys
from collections.abc import Callable
from typing import Any, get_args

import click
from flask import Flask

from ..jobs.cli.kit import (
    Id,
    JobsGroup,
    Refused,
    acting_as,
    age,
    as_json,
    confirm,
    print_json,
    table,
    yes,
)
from ..jobs.operate import people

ROLES = get_args(people.Role)

admin = JobsGroup("admin", help="Create, list and change the users of the dashboard.")

_name = click.argument("name")


def init_app(app: Flask) -> None:
    """Add the commands, unless the app has others of that name."""
    if "admin" not in app.cli.commands:
        app.cli.add_command(admin)


def _with_password(command: Callable[..., None]) -> Callable[..., None]:
    return click.option(
        "--password-stdin",
        is_flag=True,
        help="Read the password from standard input, where there is no terminal.",
    )(command)


@admin.command("create-user")
@_name
@click.option("--role", type=click.Choice(ROLES), required=True, help="What they may do.")
@click.option("--organization", type=Id(), metavar="ID", help="Only this organization's jobs.")
@acting_as
@_with_password
def create_user(
    name: str, *, role: people.Role, organization: Any, by: str, password_stdin: bool
) -> None:
    r"""Create a user of the dashboard, and ask for their password.

    A viewer sees all but payloads and results, an operator also retries, cancels and pauses, an
    admin also deletes, edits and enqueues. Users can sign in where ADMIN_SIGN_IN is `password`.

    \b
    Examples:
      flask admin create-user ada --role admin
      flask admin create-user acme --role viewer --organization 42
    """
    password = _password(password_stdin)
    people.create(name, password, role, organization_id=organization, by=by)
    click.echo(f"{name} is created, as {role}.")


@admin.command("list")
@as_json
def list_users(*, as_json: bool) -> None:
    """List the users of the dashboard."""
    found = people.everybody()
    if as_json:
        print_json([_as_json(user) for user in found])
        return
    if not found:
        click.echo("No users. `flask admin create-user NAME --role ROLE` creates one.")
        return
    lines = [
        (
            *(user.name, user.role),
            "-" if user.organization_id is None else str(user.organization_id),
            *(age(user.created_at), age(user.signed_in_at) if user.signed_in_at else "never"),
            "disabled" if user.disabled_at else "-",
        )
        for user in found
    ]
    head = ("NAME", "ROLE", "ORGANIZATION", "AGE", "SIGNED IN", "STATE")
    click.echo(table([head, *lines]))


@admin.command("set-role")
@_name
@click.argument("role", type=click.Choice(ROLES))
@acting_as
def set_role(name: str, role: people.Role, *, by: str) -> None:
    """Change what a user may do, from their next click on."""
    people.set_role(name, role, by=by)
    click.echo(f"{name} is {role} now.")


@admin.command("set-password")
@_name
@acting_as
@_with_password
def set_password(name: str, *, by: str, password_stdin: bool) -> None:
    """Ask for a user's new password, and end their sessions."""
    people.set_password(name, _password(password_stdin), by=by)
    click.echo(f"The password of {name} is changed, and every browser signed out.")


@admin.command("disable")
@_name
@acting_as
def disable_user(name: str, *, by: str) -> None:
    """Have a user sign in no more, and end their sessions."""
    people.disable(name, by=by)
    click.echo(f"{name} is disabled.")


@admin.command("enable")
@_name
@acting_as
def enable_user(name: str, *, by: str) -> None:
    """Have a user who was disabled sign in again."""
    people.enable(name, by=by)
    click.echo(f"{name} is enabled.")


@admin.command("remove")
@_name
@acting_as
@yes
def remove_user(name: str, *, by: str, yes: bool) -> None:
    """Remove a user, and end their sessions; the audit keeps their name."""
    if not yes:
        confirm(f"Remove {name}?")
    people.remove(name, by=by)
    click.echo(f"{name} is removed.")


def _password(is_piped: bool) -> str:
    if is_piped:
        return sys.stdin.readline().rstrip("\n")
    if not sys.stdin.isatty():
        raise Refused("not a terminal: pass --password-stdin, and the password to standard input")
    given: str = click.prompt("Password", hide_input=True, confirmation_prompt=True)
    return given


def _as_json(user: Any) -> dict[str, Any]:
    return {
        "name": user.name,
        "role": user.role,
        "organization_id": user.organization_id,
        "created_at": user.created_at.isoformat(),
        "signed_in_at": user.signed_in_at and user.signed_in_at.isoformat(),
        "disabled_at": user.disabled_at and user.disabled_at.isoformat(),
    }
