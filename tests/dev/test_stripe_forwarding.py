"""Stripe's CLI under `make dev`; a script stands in for it, as the real one needs an account."""

import io
import sys
from pathlib import Path

import pytest

from app.dev import stripe_forwarding
from app.dev.console import Console
from app.dev.runner import Runner

FAKE = """#!{python}
import os, sys, time
if "--print-secret" in sys.argv:
    if os.environ["STRIPE_API_KEY"] != "sk_test_1":
        sys.exit("Error: Invalid API Key provided")
    print("whsec_of_the_cli")
else:
    print("Ready! Forwarding", *sys.argv[1:], flush=True)
    time.sleep(60)
"""
CONFIG = {"STRIPE_SECRET_KEY": "sk_test_1", "STRIPE_WEBHOOK_SECRET": "whsec_of_the_settings"}


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A `stripe` on PATH."""
    script = tmp_path / "stripe"
    script.write_text(FAKE.format(python=sys.executable))
    script.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))


@pytest.mark.usefixtures("cli")
def test_the_app_takes_the_secret_of_the_cli_beside_its_own() -> None:
    forwarding = stripe_forwarding.prepare(CONFIG)

    assert forwarding.settings == {
        "STRIPE_WEBHOOK_SECRET": "whsec_of_the_cli,whsec_of_the_settings"
    }


@pytest.mark.usefixtures("cli")
def test_events_are_forwarded_to_the_app_s_endpoint() -> None:
    written = io.StringIO()

    with Runner(Console(written)) as runner:
        forwarding = stripe_forwarding.prepare(CONFIG)
        stripe_forwarding.start(runner, forwarding, "http://127.0.0.1:8000")

    assert "listen --forward-to http://127.0.0.1:8000/api/stripe/webhook" in written.getvalue()
    assert "sk_test_1" not in written.getvalue()


@pytest.mark.usefixtures("cli")
@pytest.mark.parametrize(
    ("key", "said"),
    [("", "STRIPE_SECRET_KEY is not set"), ("sk_test_2", "Error: Invalid API Key provided")],
)
def test_a_missing_or_bad_key_is_told_in_one_line(key: str, said: str) -> None:
    forwarding = stripe_forwarding.prepare({**CONFIG, "STRIPE_SECRET_KEY": key})

    assert said in forwarding.note
    assert "\n" not in forwarding.note
    assert (forwarding.command, forwarding.settings) == (None, {})


def test_without_the_cli_nothing_is_forwarded_and_the_way_without_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    forwarding = stripe_forwarding.prepare(CONFIG)

    assert forwarding.note.startswith("not forwarded: no Stripe CLI on PATH")
    assert "flask stripe simulate" in forwarding.note
