"""`flask jobs apikey …`: keys made, listed and revoked."""

import json
from typing import Any

import pytest
from flask.testing import FlaskCliRunner

from tests.api.calling import Call


def run(cli: FlaskCliRunner, *arguments: str) -> Any:
    return cli.invoke(args=["jobs", "apikey", *arguments])


def test_a_made_key_opens_and_a_revoked_one_does_not(cli: FlaskCliRunner, call: Call) -> None:
    made = run(cli, "create", "ci", "--scope", "read", "--expires-in", "90d")
    key = made.stdout.strip()
    assert call("GET", "/api/jobs", key).status_code == 200

    assert run(cli, "revoke", key).exit_code == 2
    assert run(cli, "revoke", key, "--yes").stdout == f"revoked: {key[:15]}\n"
    assert call("GET", "/api/jobs", key).status_code == 401


def test_the_key_is_shown_once(cli: FlaskCliRunner) -> None:
    arguments = ["--scope", "enqueue", "--type", "send-email", "--organization-id", "7"]
    made = json.loads(run(cli, "create", "acme", *arguments, "--json").stdout)
    listed = run(cli, "list", "--json").stdout

    assert json.loads(listed)["keys"] == [
        {name: value for name, value in made.items() if name != "key"}
    ]
    assert (made["organization_id"], made["job_types"]) == (7, ["send-email"])
    assert made["key"] not in listed
    assert made["prefix"] in run(cli, "list").stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--scope", "raed"], "did you mean: read?"),
        (["--scope", "enqueue", "--type", "send-emial"], "send-email"),
        (["--scope", "read", "--type", "send-email"], "add --scope enqueue"),
        (["--scope", "enqueue", "--organization-id", "7"], "--type"),
        (["--scope", "read", "--expires-in", "99999999d"], "--expires-in"),
        ([], "--scope"),
    ],
)
def test_a_key_that_makes_no_sense_is_not_made(
    cli: FlaskCliRunner, arguments: list[str], said: str
) -> None:
    refused = run(cli, "create", "ci", *arguments)

    assert (refused.exit_code, said in refused.stderr) == (2, True), refused.stderr
    assert run(cli, "list").stdout == "No keys.\n"


def test_a_key_that_is_not_there_cannot_be_revoked(cli: FlaskCliRunner) -> None:
    refused = run(cli, "revoke", "jobkey_0", "--yes")
    assert (refused.exit_code, "no key jobkey_0;" in refused.stderr) == (2, True)


@pytest.mark.usefixtures("no_database")
def test_without_a_database_it_says_so_in_a_line(cli: FlaskCliRunner) -> None:
    for arguments in (["list"], ["create", "ci", "--scope", "read"], ["revoke", "jobkey_0"]):
        refused = run(cli, *arguments)
        assert (refused.exit_code, refused.stderr.count("\n")) == (2, 1)
        assert "check DATABASE_URL" in refused.stderr
