"""The thread's time limit: raised inside, never afterwards."""

import gc
import logging
import math
import os
import queue
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from threading import Event, Thread
from typing import Any

import pytest
from flask import Flask

from app.db import db
from app.jobs import JobTimeout, deadline
from app.jobs.deadline import time_limit
from app.jobs.interruptible import OURS
from tests.support.sample_jobs import Effect


def spin(seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass


def test_what_runs_too_long_is_interrupted() -> None:
    with pytest.raises(JobTimeout), time_limit(time.monotonic() + 0.02):
        spin(30)


def test_a_broad_except_does_not_swallow_it() -> None:
    def stubborn() -> None:
        try:
            spin(30)
        except Exception:  # noqa: BLE001 - the handler's bad habit
            spin(30)

    with pytest.raises(JobTimeout), time_limit(time.monotonic() + 0.02):
        stubborn()


def test_what_ends_in_time_is_left_alone() -> None:
    with time_limit(time.monotonic() + 1):
        pass
    spin(1.1)


def test_each_thread_has_its_own() -> None:
    def limited(seconds: float) -> bool:
        try:
            with time_limit(time.monotonic() + seconds):
                spin(0.3)
        except JobTimeout:
            return True
        return False

    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(limited, [0.02, 30, 0.02, 30])) == [True, False, True, False]


def test_an_exception_set_on_the_way_out_neither_arrives_later_nor_leaves_anything_behind() -> None:
    """Many limits that end just as their time is up, on a busy interpreter."""
    with other_threads(8):
        for step in range(500):
            with suppress(JobTimeout), time_limit(time.monotonic() + 0.001):
                spin(0.001 + step * 1e-6)
            spin(0.0005)

    assert not deadline.running


@pytest.mark.parametrize("module", OURS)
def test_a_module_that_is_never_interrupted_bears_the_name_by_which_it_is_known(
    module: str,
) -> None:
    assert find_spec(module) is not None


def test_fault_R1_a_limit_that_a_destructor_swallows_comes_again() -> None:
    """Python ignores what is raised in a `__del__`, and here is hardly anything else."""
    code = """if True:
        import time
        from app.jobs.deadline import END_AFTER, time_limit
        from app.jobs.errors import JobTimeout

        class Slow:
            def __del__(self):
                end = time.monotonic() + 0.2
                while time.monotonic() < end:
                    pass

        start = time.monotonic()
        try:
            with time_limit(start + 0.05):
                while True:
                    Slow()
        except JobTimeout:
            print(time.monotonic() - start < END_AFTER)
    """
    done = subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )

    assert done.stdout == "True\n"


def test_fault_R1_a_limit_that_the_handler_swallows_comes_again() -> None:
    def stubborn() -> None:
        for _ in range(2):
            with suppress(JobTimeout):
                spin(30)
        spin(30)

    with pytest.raises(JobTimeout), time_limit(time.monotonic() + 0.02):
        stubborn()


def connect() -> None:
    with db.engine.connect():
        pass


def commit() -> None:
    db.session.add(Effect(job_id="x", note="y"))
    db.session.commit()


shared: "queue.Queue[int]" = queue.Queue()


def take_a_turn() -> None:
    shared.put(1)
    shared.get()


#: How many limits make the test worth something, also on a machine that is busy.
ENOUGH = 5
DEEDS: dict[str, Callable[[], object]] = {
    "pool": connect,
    "commit": commit,
    "log": lambda: logging.getLogger("stress").warning("at work"),
    "queue": take_a_turn,
}


@pytest.mark.parametrize("deed", DEEDS)
def test_fault_D1_limits_at_random_moments_leave_nothing_half_done(app: Flask, deed: str) -> None:
    """For some seconds, and until there were some; each stops what runs, and it runs again."""
    seed = random.Random(deed)  # noqa: S311 - no secret
    stopped = 0

    def interrupted_again_and_again() -> None:
        nonlocal stopped
        end = time.monotonic() + 4
        with app.app_context():
            while time.monotonic() < end or stopped <= ENOUGH:
                with suppress(JobTimeout), time_limit(time.monotonic() + seed.random() / 200):
                    while True:
                        DEEDS[deed]()
                stopped += 1
                db.session.rollback()
                with suppress(queue.Empty):
                    shared.get_nowait()

    thread = Thread(target=interrupted_again_and_again, daemon=True)
    thread.start()
    thread.join(60)

    assert not thread.is_alive()
    assert stopped > ENOUGH
    pool: Any = db.engine.pool
    gc.collect()
    assert pool.checkedout() == 0
    for _ in range(pool.size()):
        DEEDS[deed]()


@contextmanager
def other_threads(count: int) -> Iterator[None]:
    """Let so many take turns with this one, as often as can be."""
    over = Event()

    def turn() -> None:
        while not over.is_set():
            pass

    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    with ThreadPoolExecutor(count) as threads:
        for _ in range(count):
            threads.submit(turn)
        try:
            yield
        finally:
            over.set()
            sys.setswitchinterval(usual)


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_process_has_a_watch_of_its_own() -> None:
    with pytest.raises(JobTimeout), time_limit(time.monotonic() + 0.02):
        spin(30)

    child = os.fork()
    if child == 0:
        try:
            with time_limit(time.monotonic() + 0.02):
                spin(30)
        except JobTimeout:
            os._exit(7)
        os._exit(1)

    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7


def test_nothing_of_a_limit_is_left_for_a_tracer_to_meet() -> None:
    """Coverage and debuggers trace: CPython 3.11 must think of no exception as pending still."""
    for _ in range(3):
        with pytest.raises(JobTimeout), time_limit(time.monotonic() + 0.02):
            spin(30)
    called = []
    before = sys.gettrace()
    sys.settrace(lambda *_: None)
    try:
        spin(0)
        called.append(math.sqrt(4))
    finally:
        sys.settrace(before)

    assert called == [2.0]
