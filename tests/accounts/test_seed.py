"""`flask accounts seed`: made-up data, the same for the same seed."""

import pytest
from flask import Flask, json
from flask.testing import FlaskCliRunner
from sqlalchemy import func, select, text

from app.accounts.models import ActivityLog, Membership, Organization, User
from app.db import db

SEED = ["accounts", "seed", "--users", "60", "--until", "2026-11-01"]


def contents() -> list[tuple[object, ...]]:
    """Return all that was made up, apart from ids."""
    query = """
        SELECT u.email, u.name, u.created_at, m.role, o.name, o.plan_name, o.subscription_status,
               o.monthly_amount, o.subscribed_at, o.unsubscribed_at, o.current_period_end,
               (SELECT count(*) FROM activity_logs a WHERE a.organization_id = o.id)
        FROM users u JOIN memberships m ON m.user_id = u.id
        JOIN organizations o ON o.id = m.organization_id ORDER BY u.email"""
    return [tuple(row) for row in db.session.execute(text(query))]


def count(model: type) -> int:
    return db.session.scalar(select(func.count()).select_from(model)) or 0


def test_everybody_has_an_organization_and_every_organization_an_owner(
    cli: FlaskCliRunner,
) -> None:
    result = cli.invoke(args=[*SEED, "--json"])

    counts = json.loads(result.stdout)
    assert counts["users"] == counts["memberships"] == count(User) == 60
    owners = select(func.count()).select_from(Membership).where(Membership.role == "owner")
    assert db.session.scalar(owners) == count(Organization) == counts["organizations"]
    assert count(ActivityLog) == counts["activity_logs"] > 60


def test_the_same_seed_makes_the_same_data(cli: FlaskCliRunner) -> None:
    cli.invoke(args=SEED)
    first = contents()

    result = cli.invoke(args=[*SEED, "--replace"])

    assert result.exit_code == 0
    assert contents() == first
    assert len(first) == 60


def test_a_second_run_of_one_seed_is_refused(cli: FlaskCliRunner) -> None:
    cli.invoke(args=SEED)

    result = cli.invoke(args=SEED)

    assert result.exit_code == 2
    assert "pass --replace, or another --seed" in result.output
    assert count(User) == 60


def test_another_seed_adds_to_it_and_the_ids_go_on(cli: FlaskCliRunner) -> None:
    cli.invoke(args=SEED)

    assert cli.invoke(args=[*SEED, "--seed", "2"]).exit_code == 0
    db.session.add(User(email="ada@example.com", name="Ada"))
    db.session.commit()

    assert count(User) == 121


def test_production_has_to_be_meant(
    app: Flask, cli: FlaskCliRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(app.config, "APP_ENV", "production")

    assert "pass --yes-in-production" in cli.invoke(args=SEED).output
    assert count(User) == 0
    assert cli.invoke(args=[*SEED, "--yes-in-production"]).exit_code == 0
