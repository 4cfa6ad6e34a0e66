"""What a shell offers after `flask jobs …<Tab>`."""

from concurrent.futures import ThreadPoolExecutor

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

    # In a thread, where there is no app's context, as in the process that a shell starts.
    with ThreadPoolExecutor(1) as threads:
        items = threads.submit(completion.get_completions, words, incomplete).result()
    found = [item.value for item in items]

    assert sorted(found) == sorted(offered)
