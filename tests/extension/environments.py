"""Fresh virtual environments, made once for a run of the tests, with what `make dist` builds."""

import fcntl
import os
import subprocess
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]
#: For each, which file and extras are installed there, and what its app has of its own.
ENVIRONMENTS = {
    "shop": ("*.whl", "dev,metrics", ["sqlalchemy==2.0.*", "flask-migrate", "flask-wtf", "pytest"]),
    "api": ("*.tar.gz", "dev,otel", ["sqlalchemy==2.1.*", "flask-login", "pytest"]),
}
#: An extra that is not installed there.
MISSING = {"shop": "otel", "api": "metrics"}


def run(
    *command: str | Path, cwd: Path = ROOT, codes: Collection[int] = (0,), **environment: str
) -> str:
    """Run a command without this repository on its path, and return what it printed.

    Args:
        command: The program and its arguments.
        cwd: Where.
        codes: With which of them it may end.
        **environment: What stands in its environment besides.
    """
    done = subprocess.run(  # noqa: S603 - ours
        command, cwd=cwd, env=clean(environment), capture_output=True, text=True, check=False
    )
    assert done.returncode in codes, f"{command}: {done.stdout[-4000:]}{done.stderr[-4000:]}"
    return done.stdout


def clean(environment: dict[str, str]) -> dict[str, str]:
    """Return this process's environment, without what is this app's, and what is given."""
    kept = ("PATH", "HOME", "LANG", "TMPDIR", "PIP_", "SSL_", "XDG_")
    return {k: v for k, v in os.environ.items() if k.startswith(kept)} | environment


def pip_for(environment: Path) -> list[str | Path]:
    """Return how to call pip for an environment, which has none of its own."""
    python = environment / "bin/python"
    return [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", python]


def prepare(shared: Path) -> None:
    """Build the extension, and install it in each environment; in all workers only once."""
    with _alone(shared):
        done = shared / "done"
        if not done.exists():
            run("make", "dist", f"DIST={shared / 'dist'}", f"PYTHON={sys.executable}")
            for process in [_install(shared, name) for name in ENVIRONMENTS]:
                _, said = process.communicate()
                assert process.returncode == 0, said
            done.touch()


@contextmanager
def _alone(shared: Path) -> Iterator[None]:
    shared.mkdir(exist_ok=True)
    with (shared / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _install(shared: Path, name: str) -> "subprocess.Popen[str]":
    pattern, extras, own = ENVIRONMENTS[name]
    (file,) = (shared / "dist").glob(pattern)
    run(sys.executable, "-m", "venv", "--without-pip", shared / name)
    pip = pip_for(shared / name)
    # What is never imported needs no compiling either.
    command = [*pip, "install", "-q", "--no-compile", f"{file}[{extras}]", *own]
    return subprocess.Popen(  # noqa: S603 - ours
        command, env=clean({}), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
