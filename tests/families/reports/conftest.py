"""A small world whose figures can be counted by hand.

October 2026 is the period, the 31 days before it the previous one.
"""

import pytest
from flask import Flask

from app.accounts.models import Membership
from app.db import db
from tests.families.reports.world import activity, jobs, organizations, people


@pytest.fixture
def world(app: Flask) -> Flask:
    """The app with all of it in its database; the app's fixture empties that again."""
    db.session.add_all([*organizations(), *people()])
    db.session.flush()
    members = [Membership(organization_id=2, user_id=n) for n in (3, 4, 5)]
    db.session.add_all([*members, *activity(), *jobs()])
    db.session.commit()
    return app
