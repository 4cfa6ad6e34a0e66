"""Tests as an app's author writes them, with the helpers of the extension."""

import re

from flask_qstash_jobs import get_job_execution_by_job_id
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


def test_the_dashboard_is_one_line(app, published):
    client, job_id = app.test_client(), greet.enqueue({"text": "hi"})
    assert client.get("/admin/jobs").status_code == 404
    app.debug = True

    page = client.get(f"/admin/jobs/job/{job_id}").text
    token = re.search(r'name="csrf" value="([^"]+)"', page)[1]
    client.post("/admin/jobs/cancel", data={"csrf": token, "job_id": job_id})

    assert get_job_execution_by_job_id(job_id).status == "cancelled"
    assert client.get("/admin/jobs/static/dashboard.css", buffered=True).status_code == 200
