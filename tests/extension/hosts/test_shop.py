"""Tests as an app's author writes them, with the helpers of the extension."""

from flask_qstash_jobs.testing import assert_enqueued, deliver
from greetings import greet
from shop import User, db


def test_a_greeting_is_noted(app, published):
    user = User()
    db.session.add(user)
    db.session.commit()

    job_id = greet.enqueue({"text": "hi"}, user_id=user.id)

    assert_enqueued("greet", {"text": "hi"})
    assert deliver(job_id).status_code == 200
    db.session.expire_all()
    assert user.greeted == "hi"
