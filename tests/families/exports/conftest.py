"""Rows that are hard to export, and exports as a user gets them: by link."""

from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from app.accounts.models import ActivityLog, Membership, Organization, User
from app.db import db
from app.families.exports.payload import ExportDataSchema
from tests.families.exports.exporting import (
    FAR_EAST,
    MOMENT,
    NASTY,
    Export,
    a_job,
    an_event,
    download,
    paying,
    to_its_end,
)


@pytest.fixture
def nasty(app: object) -> None:
    """Rows of every entity: nasty texts, nulls, JSON, times in other zones, large and negative."""
    for index, text in enumerate(NASTY):
        at = (MOMENT + timedelta(hours=index)).astimezone(FAR_EAST)
        db.session.add(User(email=f"{text[:50]}{index}", name=text, created_at=at))
        db.session.add(ActivityLog(action="x", details={"n": text, "l": [1, None]}, created_at=at))
        db.session.add(Organization(name=text))
        db.session.add(a_job(text))
        db.session.add(an_event(text))
    db.session.add(ActivityLog(action="y", ip_address="2001:db8::1"))
    db.session.add_all([paying("pro", -2_500), paying("free", 2**60)])
    db.session.flush()
    organization = db.session.scalars(select(Organization)).first()
    user = db.session.scalars(select(User)).first()
    assert organization is not None
    assert user is not None
    db.session.add(Membership(organization_id=organization.id, user_id=user.id, role="owner"))
    db.session.commit()


@pytest.fixture
def export(client: FlaskClient) -> Export:
    """Run an export over as many legs as it takes, and download its file."""

    def run(
        entity: str, to: str = "csv", *, organization_id: int | None = None, **rest: Any
    ) -> bytes:
        payload = ExportDataSchema().load({"entityType": entity, "format": to, **rest})
        result = to_its_end(payload, organization_id)
        return download(client, result["artifact"]["id"])

    return run
