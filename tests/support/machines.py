"""How much hypothesis tries with a state machine: `HYPOTHESIS_PROFILE=thorough` is far more."""

import os

import pytest
from hypothesis import settings

_IS_THOROUGH = {"quick": False, "thorough": True}[os.environ.get("HYPOTHESIS_PROFILE", "quick")]

#: Of a test that runs one: five minutes, or as long as it takes.
limited = pytest.mark.timeout(0 if _IS_THOROUGH else 300)


def examples(*, quick: int, thorough: int, steps: int = 20) -> settings:
    """Return the settings of a machine that is tried with so many examples.

    The quick ones are always the same, of so many steps; the others are new ones each time, of 40.
    """
    if _IS_THOROUGH:
        return settings(max_examples=thorough, stateful_step_count=40, database=None, deadline=None)
    return settings(max_examples=quick, stateful_step_count=steps, derandomize=True, deadline=None)
