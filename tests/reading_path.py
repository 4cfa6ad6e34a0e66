"""Measure what one must read of `app/jobs` to follow a job from `enqueue` to the answer.

    .venv/bin/python -m tests.reading_path

Enqueues one job that does nothing and delivers it, against a PostgreSQL and a QStash of its own,
and lists every file of `app/jobs` in which a function ran: first below `enqueue`, then below the
view that takes the delivery. Then the files in which none ran, but whose classes and constants
those functions name, and the calls from the view down to the handler.
"""

import logging
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, FrameType, FunctionType, ModuleType
from typing import Any

import flask_migrate
from flask import Flask
from sqlalchemy import text

from app import create_app, jobs
from app.db import db
from app.dev.temporary_postgres import temporary_server
from app.local_qstash.testing import LocalQStash
from tests.support import sample_jobs
from tests.support.apps import close_connections, fresh_database, settings
from tests.support.publishing import NOBODY
from tests.support.qstash import BASE_URL, deliver

JOBS = Path(jobs.__file__).parent
#: What `tests/jobs/test_reading_path.py` holds.
MOST_FILES, MOST_FRAMES = 23, 5


@dataclass
class Followed:
    """What ran: its code in the order of the first calls, and how the handler was called."""

    codes: dict[CodeType, dict[str, Any]] = field(default_factory=dict)
    frames: list[str] = field(default_factory=list)

    @property
    def files(self) -> list[str]:
        return list(dict.fromkeys(within_jobs(code.co_filename) for code in self.codes))

    def note(self, frame: FrameType, event: str, _: object) -> None:
        """Take part in `sys.setprofile`."""
        code = frame.f_code
        if event != "call" or code.co_name == "<module>":
            return
        if Path(code.co_filename).is_relative_to(JOBS):
            self.codes.setdefault(code, frame.f_globals)
        if code.co_filename == sample_jobs.__file__ and code.co_name == "noop":
            self.frames = [name_of(one) for one in callers(frame)][::-1]


@dataclass(frozen=True, slots=True)
class ReadingPath:
    enqueue: Followed
    delivery: Followed

    @property
    def executed(self) -> list[str]:
        return list(dict.fromkeys(self.enqueue.files + self.delivery.files))

    @property
    def named(self) -> list[str]:
        """The files that one must open beside those that ran."""
        codes = {**self.enqueue.codes, **self.delivery.codes}
        found = {file for code, its in codes.items() for file in named_by(code, its)}
        return sorted(found - set(self.executed))


def measure(app: Flask) -> ReadingPath:
    """Follow one job; the app has the sample jobs and a QStash that takes them."""
    enqueued, delivered = Followed(), Followed()
    endpoint = next(
        rule.endpoint for rule in app.url_map.iter_rules() if rule.rule.endswith("/noop")
    )
    view = app.view_functions[endpoint]

    def followed(**arguments: Any) -> Any:
        with profiled(delivered):
            return view(**arguments)

    with profiled(enqueued):
        job_id = jobs.enqueue("noop", {"action": "none"})
    app.view_functions[endpoint] = followed
    body = db.session.scalar(
        text("SELECT payload FROM job_executions WHERE job_id = :id"), {"id": job_id}
    )
    db.session.rollback()
    answer = deliver(app.test_client(), body, "/api/jobs/noop")
    app.view_functions[endpoint] = view
    assert answer.status_code == 200, answer.text
    return ReadingPath(enqueued, delivered)


@contextmanager
def profiled(followed: Followed) -> Iterator[None]:
    before = sys.getprofile()
    sys.setprofile(followed.note)
    try:
        yield
    finally:
        sys.setprofile(before)


def callers(frame: FrameType) -> Iterator[FrameType]:
    """Yield who called a handler, up to the view."""
    caller = frame.f_back
    while caller is not None and caller.f_code.co_filename != __file__:
        yield caller
        caller = caller.f_back


def named_by(code: CodeType, its: dict[str, Any]) -> Iterator[str]:
    """Yield the files of `app/jobs` whose classes and constants some code names."""
    for name in code.co_names:
        found = its.get(name)
        if isinstance(found, type):
            yield from file_of(found.__module__)
        elif isinstance(found, ModuleType):
            used = [vars(found)[one] for one in code.co_names if one in vars(found)]
            if not all(isinstance(one, FunctionType) for one in used):
                yield from file_of(found.__name__)


def file_of(module: str) -> Iterable[str]:
    if module.startswith(f"{jobs.__name__}."):
        yield within_jobs(str(sys.modules[module].__file__))


def within_jobs(path: str) -> str:
    return str(Path(path).relative_to(JOBS))


def name_of(frame: FrameType) -> str:
    path, name = Path(frame.f_code.co_filename), frame.f_code.co_qualname
    return f"{path.relative_to(JOBS) if path.is_relative_to(JOBS) else path} {name}"


def main() -> None:
    logging.disable()
    with (
        temporary_server() as server,
        fresh_database(server.url(), "reading_path") as url,
        LocalQStash(origins={BASE_URL: NOBODY}) as qstash,
    ):
        made = create_app({**settings(url), "QSTASH_URL": qstash.url, "QSTASH_TOKEN": qstash.token})
        made.register_blueprint(sample_jobs.bp)
        with made.app_context():
            flask_migrate.upgrade(str(JOBS.parent.parent / "migrations"))
            path = measure(made)
            close_connections()
    report(path)


def report(path: ReadingPath) -> None:
    tell("below enqueue", path.enqueue.files)
    tell("below the view", path.delivery.files)
    tell("named by these, none run", path.named)
    tell("from the view to the handler", path.delivery.frames)
    executed, frames = len(path.executed), len(path.delivery.frames)
    print(f"files executed {executed} (at most {MOST_FILES})")
    print(f"files to open {executed + len(path.named)}")
    print(f"frames to the handler {frames} (at most {MOST_FRAMES})")


def tell(what: str, lines: list[str]) -> None:
    print(f"{what}: {len(lines)}", *lines, sep="\n  ", end="\n\n")


if __name__ == "__main__":
    main()
