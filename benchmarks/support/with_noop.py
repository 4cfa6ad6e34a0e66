"""The app with one more job type, that does nothing: what `benchmarks/memory.py` has gunicorn run.

`with_noop:app` is that; `with_noop:bare` is an app of Flask's alone, the floor.
"""

import os
from dataclasses import dataclass
from typing import Any

from flask import Flask
from marshmallow import fields

bare = Flask("bare")


@bare.get("/healthz")
def healthz() -> dict[str, str]:
    return {"status": "ok"}


def new_app() -> Flask:
    from app import create_app  # noqa: PLC0415 - not for the floor
    from app.jobs import JobBlueprint, PayloadSchema, enqueue_many  # noqa: PLC0415 - likewise

    @dataclass
    class Nothing:
        number: int

    class NothingSchema(PayloadSchema[Nothing]):
        model = Nothing
        number = fields.Integer(required=True)

    bp = JobBlueprint("bench", __name__)

    @bp.job("bench-noop", "/bench-noop", payload=NothingSchema)
    def noop(payload: Nothing, _job: Any) -> None:
        """Do nothing."""

    made = create_app()
    made.register_blueprint(bp)

    @made.post("/bench/enqueue/<int:count>")
    def enqueue(count: int) -> dict[str, int]:
        enqueue_many("bench-noop", [{"number": number} for number in range(count)])
        return {"enqueued": count}

    return made


if os.environ.get("BENCH_APP") == "ours":
    app = new_app()
