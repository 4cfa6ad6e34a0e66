"""Real events of a Stripe test account, forwarded to this machine by Stripe's own CLI.

https://docs.stripe.com/cli/listen
"""

import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass

from app.dev.runner import Runner, says

PATIENCE = 20
_INSTEAD = "made-up events: .venv/bin/flask stripe simulate subscription-lifecycle"


@dataclass(frozen=True)
class Forwarding:
    """Whether events can be forwarded, and how.

    Attributes:
        note: One line for the developer.
        command: The Stripe CLI; None if nothing is forwarded.
        settings: The signing secret that the CLI uses, for the app.
        env: The key that the CLI uses: in its environment, as everyone can see arguments.
    """

    note: str
    command: str | None
    settings: Mapping[str, str]
    env: Mapping[str, str]


def prepare(config: Mapping[str, str]) -> Forwarding:
    """Ask the Stripe CLI for its signing secret; without CLI or key, note what is missing."""
    command, key = shutil.which("stripe"), config["STRIPE_SECRET_KEY"]
    if command is None:
        return _without(f"no Stripe CLI on PATH; {_INSTEAD}")
    if not key:
        return _without(f"STRIPE_SECRET_KEY is not set; {_INSTEAD}")
    env = {**os.environ, "STRIPE_API_KEY": key}
    secret = _secret(command, env)
    if not secret.startswith("whsec_"):
        return _without(f"`stripe listen --print-secret` said: {secret or 'nothing'}")
    # The configured secret stays valid as well, so that `flask stripe` keeps working.
    both = ",".join(filter(None, (secret, config["STRIPE_WEBHOOK_SECRET"])))
    return Forwarding("the test account's events", command, {"STRIPE_WEBHOOK_SECRET": both}, env)


def start(runner: Runner, forwarding: Forwarding, base_url: str) -> None:
    """Start forwarding, if that is possible.

    Raises:
        RunnerError: The Stripe CLI ended, or was not ready in time.
    """
    if forwarding.command:
        target = f"{base_url}/api/stripe/webhook"
        command = [forwarding.command, "listen", "--forward-to", target]
        runner.start("stripe", command, env=forwarding.env, ready=says("Ready!"))


def _without(why: str) -> Forwarding:
    return Forwarding(f"not forwarded: {why}", None, {}, {})


def _secret(command: str, env: Mapping[str, str]) -> str:
    """Return the CLI's last line: the secret, or the reason why there is none."""
    try:
        done = subprocess.run(  # noqa: S603 - the developer's own Stripe CLI
            [command, "listen", "--print-secret"],
            env=dict(env),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    said = (done.stdout.strip() or done.stderr.strip()).splitlines()
    return said[-1].strip() if said else ""
