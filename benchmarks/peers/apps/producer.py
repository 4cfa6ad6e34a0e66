"""The process that enqueues, one for each system: it does what its standard input asks for.

    python producer.py celery_app

A line of input is a JSON object such as {"do": "single", "count": 100, "size": 0}; the answer is
one line of JSON. The module that is named has the system's own way to enqueue:

    setup()                     create tables, or whatever the system needs once
    context()                   a context manager in which all of the following are called
    send(job, parked)           enqueue one job; a parked one is for later, or for nobody
    send_many(jobs, parked)     enqueue many in the system's own way
    recorded() -> int           how many jobs the system says have ended well
    settle()                    optional: write now what the enqueues left for later
"""

import base64
import importlib
import json
import os
import sys
import time
from functools import cache
from random import Random
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable


class Job(NamedTuple):
    """The arguments of a job: when it is sent, in nanoseconds, how long it waits, and ballast."""

    sent: int
    wait: float
    pad: str


def new_job(wait: float, size: int) -> Job:
    return Job(time.time_ns(), wait, ballast(size))


@cache
def ballast(size: int) -> str:
    """Return so many characters that cannot be compressed to much less."""
    return base64.b64encode(Random(0).randbytes(size)).decode()[:size]  # noqa: S311 - no secret


class Producer:
    """Runs the operations, each with the CPU and the time that it took."""

    def __init__(self, system: Any) -> None:
        self._system = system

    def setup(self) -> None:
        self._system.setup()

    def single(
        self, count: int, size: int = 0, wait: float = 0, every: float = 0, *, parked: bool = False
    ) -> dict[str, Any]:
        """Enqueue one by one, `every` so many seconds; `calls` are milliseconds."""
        calls, cpu = [], time.process_time()
        due = time.monotonic()
        for _ in range(count):
            start = time.perf_counter()
            self._system.send(new_job(wait, size), parked)
            calls.append(1000 * (time.perf_counter() - start))
            due += every
            time.sleep(max(0, due - time.monotonic()) if every else 0)
        return self._done({"cpu": time.process_time() - cpu, "calls": calls}, parked)

    def bulk(
        self, count: int, size: int = 0, wait: float = 0, *, parked: bool = False
    ) -> dict[str, Any]:
        start, cpu = time.perf_counter(), time.process_time()
        self._system.send_many([new_job(wait, size) for _ in range(count)], parked)
        took = 1000 * (time.perf_counter() - start)
        return self._done({"cpu": time.process_time() - cpu, "calls": [took]}, parked)

    def _done(self, said: dict[str, Any], parked: bool) -> dict[str, Any]:  # noqa: FBT001 - as the systems have it
        """Return what was measured; what was left for later is PostgreSQL's part all the same."""
        if parked:
            getattr(self._system, "settle", _nothing)()
        return said

    def recorded(self) -> int:
        count: int = self._system.recorded()
        return count


def _nothing() -> None:
    pass


def main() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints is no answer
    system = importlib.import_module(sys.argv[1])
    producer = Producer(system)
    with system.context():
        for line in sys.stdin:
            asked = json.loads(line)
            operation: Callable[..., Any] = getattr(producer, asked.pop("do"))
            print(json.dumps(operation(**asked)), file=answers, flush=True)


if __name__ == "__main__":
    main()
