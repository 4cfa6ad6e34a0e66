"""Each extra has a lock of its own: what it adds to requirements/runtime.txt."""

import re
import tomllib
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from importlib.metadata import requires

import pytest
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from app.dev.reaper import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]


@cache
def pins(lock: str) -> dict[str, str]:
    """Return each package's lines: its version, and the hashes of its files."""
    text = (ROOT / f"requirements/{lock}.txt").read_text()
    blocks = re.findall(r"^[a-z0-9].*?(?=^[a-z0-9]|\Z)", text, re.MULTILINE | re.DOTALL)
    found: dict[str, str] = defaultdict(str)
    for block in blocks:  # several of one name where Pythons need different versions
        found[canonicalize_name(re.split(r"[\[= ]", block)[0])] += block
    return found


def needed(requirements: list[str], extra: str = "") -> Iterator[str]:
    """Yield the names of packages, and of all that those need."""
    for one in map(Requirement, requirements):
        if one.marker is None or one.marker.evaluate({"extra": extra}):
            yield canonicalize_name(one.name)
            for asked in ("", *one.extras):
                yield from needed(requires(one.name) or [], asked)


def elsewhere(lock: str) -> Iterator[str]:
    """Yield what only another version of Python needs."""
    for name, block in pins(lock).items():
        marker = re.match(r"\S+ ; (.+) \\", block)
        if marker and not Marker(marker[1]).evaluate():
            yield name


@pytest.mark.parametrize("extra", EXTRAS)
def test_an_extras_lock_has_what_it_needs_beside_the_runtime_and_no_more(extra: str) -> None:
    """`make lock` writes them so, after a change of pyproject.toml."""
    names = {*needed(EXTRAS[extra]), *elsewhere(extra)} - pins("runtime").keys()

    assert pins(extra) == {name: pins("test")[name] for name in sorted(names)}


def test_the_runtime_and_the_tests_have_the_same_versions() -> None:
    assert {name: pins("test").get(name) for name in pins("runtime")} == pins("runtime")
