"""`make lock`: the locks from pyproject.toml, with hashes, for every Python and platform.

A package keeps its locked version unless `--upgrade` is given. Indexes come from pip's own
configuration.
"""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

HERE = Path(__file__).parent
UV = str(HERE.parent / ".venv/lock/bin/uv")
OPTIONS = (
    "--universal",
    "--python-version=3.11",
    "--generate-hashes",
    "--no-annotate",
    "--no-header",
    "-q",
)
_INDEX = re.compile(r"^[\w:]+\.(index-url|extra-index-url|find-links)='(.*)'$", re.MULTILINE)
_PACKAGE = re.compile(r"^([a-z0-9._-]+)[\[= ].*?(?=^[a-z0-9]|\Z)", re.MULTILINE | re.DOTALL)


def main() -> None:
    upgrade = sys.argv[1:]
    indexes = list(pip_indexes())
    compile_lock("test", "--all-extras", "--group=test", *upgrade, *indexes)
    shared = ["--constraints=requirements/test.txt", *indexes]
    compile_lock("runtime", *shared)
    compile_lock("dev", "--extra=pdf", "--extra=parquet", "--group=dev", *shared)
    project = tomllib.loads((HERE.parent / "pyproject.toml").read_text())["project"]
    for extra in project["optional-dependencies"]:
        compile_lock(extra, f"--extra={extra}", *shared)
        leave_out_runtime(extra)
    for group in ("dist", "bench"):
        compile_lock(group, f"--group={group}", *upgrade, *indexes, project=())


def pip_indexes() -> list[str]:
    """Return pip's own configuration of indexes as options of uv's."""
    listed = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=True
    ).stdout
    options = ["--index-strategy=unsafe-best-match"]  # all indexes are equal, as they are for pip
    for name, value in _INDEX.findall(listed):
        options += [f"--{name}={one}" for one in value.split()]
    return options


def compile_lock(name: str, *options: str, project: tuple[str, ...] = ("pyproject.toml",)) -> None:
    """Have uv write a lock of the project, its extras and groups; without a project, of groups."""
    command = [UV, "pip", "compile", *project, *OPTIONS, *options, f"-orequirements/{name}.txt"]
    subprocess.run(command, cwd=HERE.parent, check=True)  # noqa: S603 - ours


def leave_out_runtime(extra: str) -> None:
    """Keep of an extra's lock what it adds, so that it is installed beside the runtime's."""
    runtime = {name for name, _ in packages("runtime")}
    added = [block for name, block in packages(extra) if name not in runtime]
    (HERE / f"{extra}.txt").write_text("".join(added))


def packages(lock: str) -> list[tuple[str, str]]:
    """Return names and lines; a name has several where Pythons need different versions."""
    text = (HERE / f"{lock}.txt").read_text()
    return [(found[1], found[0]) for found in _PACKAGE.finditer(text)]


if __name__ == "__main__":
    main()
