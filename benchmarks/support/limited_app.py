"""Two job types that wait for as long as they are told: one with limits, one without.

`limited_app:served()` is the app that `benchmarks/fairness.py` has gunicorn run.
"""

import time
from dataclasses import dataclass
from typing import Any

from flask import Flask
from marshmallow import fields

from app.jobs import JobBlueprint, PayloadSchema

bp = JobBlueprint("limited", __name__)


@dataclass(frozen=True, slots=True)
class Wait:
    takes: float


class WaitSchema(PayloadSchema[Wait]):
    model = Wait

    takes = fields.Float(required=True)


@bp.job("limited", "/limited", payload=WaitSchema, per="organization", parallelism=5)
def limited(payload: Wait, _job: Any) -> None:
    """Wait, five at a time for each organization."""
    time.sleep(payload.takes)


@bp.job("unlimited", "/unlimited", payload=WaitSchema)
def unlimited(payload: Wait, _job: Any) -> None:
    """Wait, as many at a time as there is room for."""
    time.sleep(payload.takes)


def served() -> Flask:
    from app import create_app  # noqa: PLC0415 - not for who only names the types

    app = create_app()
    app.register_blueprint(bp)
    return app
