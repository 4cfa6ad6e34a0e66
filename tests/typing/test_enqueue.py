"""mypy and pyright find a wrong payload or option where it is written, without a plugin."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
CASES = Path(__file__).parent / "cases"

Lines = set[tuple[str, int]]


def mypy() -> Lines:
    # With the project's own settings, so that what `make types` has found of the app is not lost.
    done = run("-m", "mypy", "--no-error-summary", *map(str, CASES.glob("*.py")))
    assert done.returncode == 1, done.stdout + done.stderr
    found = re.findall(r"^(?:.*/)?(\w+\.py):(\d+): error", done.stdout, re.MULTILINE)
    return {(name, int(line)) for name, line in found}


def pyright() -> Lines:
    if shutil.which("node") is None:
        pytest.skip("pyright runs on Node.js")
    done = run("-m", "pyright", "--outputjson", "--pythonpath", sys.executable, str(CASES))
    assert done.returncode == 1, done.stdout + done.stderr
    found = json.loads(done.stdout[done.stdout.index("{") :])["generalDiagnostics"]
    return {
        (Path(one["file"]).name, one["range"]["start"]["line"] + 1)
        for one in found
        if one["severity"] == "error"
    }


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - our own command
        [sys.executable, *command], cwd=ROOT, check=False, capture_output=True, text=True
    )


def marked() -> Lines:
    return {
        (path.name, number)
        for path in CASES.glob("*.py")
        for number, line in enumerate(path.read_text().splitlines(), start=1)
        if line.endswith("# wrong")
    }


@pytest.mark.parametrize("checker", [mypy, pyright])
def test_what_is_wrong_is_found_at_the_call_and_nothing_else(checker: Callable[[], Lines]) -> None:
    assert len(marked()) > 20
    assert checker() == marked()
