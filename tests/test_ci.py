"""What runs elsewhere, in CI and before a commit, calls the Makefile's own targets."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parent.parent
WORKFLOW = ROOT / ".github/workflows/ci.yml"
HOOKS = ROOT / ".pre-commit-config.yaml"
CALLERS = [WORKFLOW, HOOKS, ROOT / ".ci/run", ROOT / "CONTRIBUTING.md", ROOT / "README.md"]
_CALL = re.compile(r"(?:^|entry: |run: |exec |`)make ([a-z-]+)", re.MULTILINE)


def parsed(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


@pytest.mark.parametrize("caller", CALLERS, ids=lambda path: path.name)
def test_only_targets_that_there_are_are_called(caller: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    called = set(
        re.findall(r"(?:^|entry: |run: |exec |`)make ([a-z-]+)", caller.read_text(), re.MULTILINE)
    )

    assert called
    assert called <= targets


def test_every_job_of_the_workflow_calls_make() -> None:
    for name, job in parsed(WORKFLOW)["jobs"].items():
        commands = [step["run"] for step in job["steps"] if "run" in step]
        assert [line for line in commands if not line.startswith("make ")] == [], name


def test_the_workflow_tries_each_python_and_postgresql_that_is_promised() -> None:
    matrix = parsed(WORKFLOW)["jobs"]["check"]["strategy"]["matrix"]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

    assert project["requires-python"] == f">={matrix['python'][0]}"
    assert [f"3.{minor}" for minor in range(11, 15)] == matrix["python"]
    assert f"PostgreSQL {matrix['postgres'][0]} or newer" in (ROOT / "docs/settings.md").read_text()


def test_the_workflow_may_only_read() -> None:
    workflow = parsed(WORKFLOW)
    uses = [
        step["uses"] for job in workflow["jobs"].values() for step in job["steps"] if "uses" in step
    ]

    assert workflow["permissions"] == {"contents": "read"}
    assert all(re.fullmatch(r"actions/[\w-]+@v\d+", used) for used in uses)


def test_hooks_are_local() -> None:
    assert {repo["repo"] for repo in parsed(HOOKS)["repos"]} == {"local"}


def test_the_version_is_the_newest_of_the_changelog() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text()
    dated = re.search(r"^## (\d+\.\d+\.\d+) - \d{4}-\d\d-\d\d$", changelog, re.MULTILINE)
    projects = [ROOT / "pyproject.toml", ROOT / "packages/flask_qstash_jobs/pyproject.toml"]

    assert dated
    for project in projects:
        assert tomllib.loads(project.read_text())["project"]["version"] == dated[1]
