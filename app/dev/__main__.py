"""`python -m app.dev up | demo | stop | destroy`: what the Makefile calls."""

import argparse
import sys
from contextlib import suppress

from click import ClickException

from app import INSTANCE
from app.dev.demo import demo
from app.dev.postgres import PostgresError, Server
from app.dev.runner import RunnerError, interruptible
from app.dev.up import up

INTERRUPTED = 130
DEMO = INSTANCE / "demo"


def main() -> int:
    """Run a command and return its exit code."""
    with suppress(AttributeError):
        sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr] # not every stream can
    parser = argparse.ArgumentParser(prog="python -m app.dev", description=__doc__)
    parser.add_argument("command", choices=["up", "demo", "stop", "destroy"])
    command = parser.parse_args().command
    try:
        with interruptible():
            return run(command)
    except KeyboardInterrupt:
        return INTERRUPTED if command == "demo" else 0
    except (RunnerError, PostgresError) as error:
        sys.stderr.write(f"Error: {error}\n")
    except ClickException as error:
        error.show()
    return 1


def run(command: str) -> int:
    if command == "demo":
        return 0 if demo(DEMO) else 1
    if command == "up":
        up(INSTANCE)
    for data_dir in (INSTANCE / "postgres", DEMO / "postgres"):
        if data_dir.parent.exists():
            server = Server(data_dir)
            server.destroy() if command == "destroy" else server.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
