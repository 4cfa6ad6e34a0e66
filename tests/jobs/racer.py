"""A process of many that enqueue the same unique job: see `test_unique_races.py`.

Its argument is a JSON object: the app's settings, its instance folder, and the number of threads.
Each line that it reads names a rule and how often to enqueue; each that it writes counts what that
came to, and names the jobs.
"""

import json
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from flask import Flask

from app import create_app
from app.jobs import JobId, Unique, enqueue
from tests.support.sample_jobs import bp

RULES = {
    "one": Unique(fields=("action",)),
    "newest": Unique(fields=("action",), on_conflict="replace"),
    "once more": Unique(fields=("action",), once_more=True),
}

given = json.loads(sys.argv[1])
app = create_app(given["settings"], instance=Path(given["instance"]))
app.register_blueprint(bp)


def enqueue_times(app: Flask, rule: str, times: int) -> list[JobId]:
    with app.app_context():
        payload = {"action": "none"}
        return [enqueue("sample", payload, unique=RULES[rule], delay="1h") for _ in range(times)]


print("ready", flush=True)
for line in sys.stdin:
    rule, times = json.loads(line)
    with ThreadPoolExecutor(given["threads"]) as threads:
        share = times // given["threads"]
        parts = [threads.submit(enqueue_times, app, rule, share) for _ in range(given["threads"])]
        made = [job_id for part in parts for job_id in part.result()]
    counts = Counter(job_id.enqueued_as for job_id in made)
    print(json.dumps([counts, sorted(set(made))]), flush=True)
