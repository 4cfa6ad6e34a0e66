"""Looking at the running stack: the probes, and the doctor's message through QStash and back."""

import json
import subprocess
import sys
import urllib.request
from typing import Any

from app.dev.reaper import ROOT
from tests.e2e.stack import Stack


def get(url: str) -> dict[str, Any]:
    with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 - our own
        found: dict[str, Any] = json.loads(answer.read())
    return found


def test_a_running_stack_is_alive_ready_and_passes_the_doctor(stack: Stack) -> None:
    assert get(f"{stack.base_url}/healthz") == {"status": "ok"}
    assert set(get(f"{stack.base_url}/readyz")["parts"].values()) == {"ok"}

    checks = ("database", "migrations", "qstash", "signing-keys", "signature", "probe")
    only = [part for name in checks for part in ("--only", name)]
    done = subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-m", "flask", "jobs", "doctor", "--json", *only],
        cwd=ROOT,
        env=stack.environment,
        capture_output=True,
        text=True,
        check=False,
    )

    found = {one["check"]: one for one in json.loads(done.stdout)}
    assert found["probe"]["said"].endswith("s through QStash and back")
    assert {one["level"] for one in found.values()} <= {"pass", "warn"}, found
