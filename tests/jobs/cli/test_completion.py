"""What a shell offers after `flask jobs …<Tab>`."""

import pytest
from click.shell_completion import BashComplete
from flask import Flask
from flask.cli import FlaskGroup


@pytest.mark.parametrize(
    ("words", "incomplete", "offered"),
    [
        (["jobs"], "sch", ["schedules"]),
        (["jobs", "schedules"], "pa", ["pause"]),
        (["jobs", "list", "--type"], "sa", ["sample"]),
        (["jobs", "enqueue"], "no", ["noop"]),
        (["jobs", "list", "--status"], "c", ["completed", "cancelled"]),
        (["jobs", "list"], "--org", ["--organization-id"]),
    ],
)
def test_a_shell_completes(
    app: Flask, words: list[str], incomplete: str, offered: list[str]
) -> None:
    group = FlaskGroup(create_app=lambda: app)
    completion = BashComplete(group, {}, "flask", "_FLASK_COMPLETE")

    found = [item.value for item in completion.get_completions(words, incomplete)]

    assert sorted(found) == sorted(offered)
