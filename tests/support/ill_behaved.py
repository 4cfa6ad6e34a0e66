"""The real app with a family of jobs that do what hurts a process most."""

import logging
import os
import queue
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn

from flask import Flask
from marshmallow import fields, validate
from sqlalchemy import text

from app import create_app
from app.db import db
from app.jobs import Job, JobBlueprint, PayloadSchema, enqueue
from tests.support.sample_jobs import bp as samples

log = logging.getLogger(__name__)
shared: "queue.Queue[int]" = queue.Queue()
bp = JobBlueprint("ill-behaved", __name__)


@dataclass(frozen=True, slots=True)
class Deed:
    action: str
    code: int = 0


class DeedSchema(PayloadSchema[Deed]):
    model = Deed

    action = fields.String(
        required=True, validate=lambda value: value != "exit-early" or sys.exit(3)
    )
    code = fields.Integer(load_default=0, validate=validate.Range(0, 255))


class Slow:
    """What an ORM's objects and temporary files do: work when they are thrown away."""

    def __del__(self) -> None:
        end = time.monotonic() + 0.2
        while time.monotonic() < end:
            pass


def swallow() -> NoReturn:
    while True:
        try:
            while True:
                time.sleep(0.01)
        except BaseException:  # noqa: BLE001, S110 - the bad habit
            pass


def query_and_log() -> None:
    db.session.execute(text("SELECT 1"))
    log.warning("row done")


def connect() -> None:
    with db.engine.connect():
        pass


def put_and_get() -> None:
    shared.put(1)
    shared.get()


DEEDS: dict[str, Callable[[], Any]] = {
    "nothing": lambda: None,
    "pid": lambda: {"pid": os.getpid()},
    "log": lambda: log.warning("row done"),
    "query-and-log": query_and_log,
    "enqueue": lambda: enqueue("noop", {"action": "none"}),
    "connect": connect,
    "queue": put_and_get,
    "delete": Slow,
    "block": lambda: time.sleep(600),
    "swallow": swallow,
    "wait-for-the-database": lambda: db.session.execute(text("SELECT pg_sleep(600)")),
}
ONCE = {"nothing", "pid"}


@bp.job("deed", "/deed", payload=DeedSchema, retries=3, timeout=1)
def deed(payload: Deed, job: Job) -> Any:
    if payload.action == "exit":
        sys.exit(payload.code)
    if payload.action in ONCE:
        return DEEDS[payload.action]()
    act = DEEDS[payload.action]
    while True:
        act()


@bp.job("patient", "/patient", payload=DeedSchema, retries=0, timeout=30)
def patient(payload: Deed, job: Job) -> Any:
    """Work for as many seconds as asked, noticing a stop."""
    end = time.monotonic() + payload.code
    while time.monotonic() < end:
        time.sleep(0.02)
    return {"pid": os.getpid()}


def served() -> Flask:
    """Return the app that gunicorn serves."""
    app = create_app()
    app.register_blueprint(bp)
    app.register_blueprint(samples)
    return app
