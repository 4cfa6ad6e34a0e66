"""A process that dies while it writes: it says so on standard output, and waits to be killed.

Its argument is a JSON object: the app's settings, its instance folder and a job's id.
"""

import json
import sys
from pathlib import Path

from app import artifacts, create_app
from app.jobs.testing import make_job

given = json.loads(sys.argv[1])
PIECE = b"x" * 9 * 1024 * 1024

with create_app(given["settings"], instance=Path(given["instance"])).app_context():
    job = make_job("export", id=given["job_id"])
    with artifacts.create("continued.bin", media_type="a/b", job=job) as file:
        file.write(PIECE + b"first")
        state = file.suspend()
    with artifacts.create("completed.bin", media_type="a/b") as file:
        file.write(PIECE)
    resumed = artifacts.resume(state)
    resumed.__enter__()
    resumed.write(b"?" * len(PIECE))
    spool = artifacts.spool()
    (spool.__enter__() / "book.xlsx").write_bytes(b"x")
    with artifacts.create("torn.bin", media_type="a/b") as file:
        file.write(PIECE)
        print(json.dumps(state), flush=True)
        sys.stdin.read()
