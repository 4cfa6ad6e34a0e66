"""`python -m app.dev up | demo | stop | destroy`: the Makefile's commands."""

import argparse
import sys
from contextlib import ExitStack, suppress
from importlib.util import find_spec
from pathlib import Path

from click import ClickException

from app import INSTANCE
from app.dev.claim import claim
from app.dev.runner import interruptible
from app.dev.up import up
from app.embedded_postgres.server import Server

INTERRUPTED = 130
_DONE = {"destroy": "deleted", "stop": "stopped"}


def main() -> int:
    """Run a command and return its exit code."""
    with suppress(AttributeError):
        sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr] # not every stream can
    parser = argparse.ArgumentParser(prog="python -m app.dev", description=__doc__)
    parser.add_argument("command", choices=["up", "demo", "stop", "destroy"])
    parser.add_argument("--instance", type=Path, default=INSTANCE, help="where to write")
    given = parser.parse_args()
    try:
        with interruptible():
            return _run(given.command, given.instance)
    except KeyboardInterrupt:
        return INTERRUPTED if given.command == "demo" else 0
    except ClickException as error:
        error.show()
        return error.exit_code


def _run(command: str, instance: Path) -> int:
    # The demo has its own folder, so that it never touches the data of `make dev`.
    if command == "demo":
        return _demo(instance / "demo")
    if command == "up":
        up(instance)
    folders = [folder for folder in (instance, instance / "demo") if folder.exists()]
    with ExitStack() as claims:
        for folder in folders:
            held = claim(folder, f"stop that one first (Ctrl-C). Nothing was {_DONE[command]}")
            claims.enter_context(held)
        for folder in folders:
            server = Server(folder / "postgres")
            server.destroy() if command == "destroy" else server.stop()
    return 0


def _demo(instance: Path) -> int:
    if find_spec("app.families.email") is None:
        raise ClickException("the demo sends emails, and app/families/email is gone: use make dev")
    from app.dev.demo import demo  # noqa: PLC0415 - the other commands need no emails

    return 0 if demo(instance) else 1


if __name__ == "__main__":
    sys.exit(main())
