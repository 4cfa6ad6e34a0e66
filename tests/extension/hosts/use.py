"""What an app's own code does with jobs, run beside the server: exits with 0 if all is well."""

import importlib
import sys
from uuid import uuid4

from dotenv import load_dotenv
from flask_qstash_jobs import enqueue, get_job_execution_by_job_id
from flask_qstash_jobs.testing import wait_for

load_dotenv()  # as `flask` does
module = importlib.import_module(sys.argv[1])
app = module.create_app() if hasattr(module, "create_app") else module.app
db, User = module.db, module.User

with app.app_context():
    db.create_all()
    users = [User(id=uuid4() if sys.argv[1] == "shop" else f"user:{n}", greeted="") for n in (1, 2)]
    db.session.add_all(users)
    db.session.flush()
    undone = enqueue("greet", {"text": "never"}, user_id=str(users[0].id), session=db.session)
    db.session.rollback()
    assert get_job_execution_by_job_id(undone) is None

    db.session.add_all(users)
    made = [
        enqueue("greet", {"text": text}, user_id=user.id, session=db.session)
        for text, user in zip(("hello", "again"), users, strict=True)
    ]
    db.session.commit()
    rows = [wait_for(job_id) for job_id in made]
    assert [row.status for row in rows] == ["completed", "completed"], rows
    assert [len(row.attempts) for row in rows] == [1, 2]
    assert rows[0].result["price"] == "1.50"
    assert rows[0].result["as"] == {"text": "hello"}
    db.session.expire_all()
    assert [user.greeted for user in users] == ["hello", "again"]
