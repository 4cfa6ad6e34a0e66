"""Processes that die where they commit or talk to QStash, each of them a thread of the test's own.

A process that is dead does nothing more: whatever it tries with the database or QStash raises
`Died`, past every handler of errors, and its transaction is rolled back. The crash sweep
(`tests/crash`) kills real processes, at every point of a scenario; here hypothesis chooses both.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import local
from typing import Any

import psycopg
import pytest


class Died(BaseException):
    """This process is no more."""


class _Life(local):
    """A thread's: how many points it has left, where it is to die, and whether it has."""

    left = 0
    is_over = False


_life = _Life()


class Death:
    """Attributes: `came`: whether the process lived to reach that point."""

    came = False


@contextmanager
def dying_at(point: int) -> Iterator[Death]:
    """Have this thread's process die at the point of that number, from 1; at 0 not at all."""
    death = Death()
    _life.left, _life.is_over = point, False
    try:
        yield death
    except BaseException:
        if not _life.is_over:
            raise
    finally:
        death.came = _life.is_over
        _life.left, _life.is_over = 0, False


def pass_a_point() -> None:
    """Die here, if it is the time to, or has been before."""
    if _life.left:
        _life.left -= 1
        _life.is_over = _life.left == 0
    if _life.is_over:
        raise Died


@pytest.fixture
def mortal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make points of every statement and commit, before and after it."""
    for owner, name in ((psycopg.Cursor, "execute"), (psycopg.Connection, "commit")):
        monkeypatch.setattr(owner, name, _between_points(getattr(owner, name)))


def _between_points(call: Callable[..., Any]) -> Callable[..., Any]:
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        pass_a_point()
        result = call(*args, **kwargs)
        pass_a_point()
        return result

    return wrapped
