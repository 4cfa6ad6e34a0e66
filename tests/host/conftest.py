"""The extension under the name of its wheel, from the files that the wheel ships."""

import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the package's folder, whose parent belongs on the path."""
    package = tmp_path_factory.mktemp("site") / "flask_qstash_jobs"
    shutil.copytree(ROOT / "packages/flask_qstash_jobs/flask_qstash_jobs", package)
    ignored = shutil.ignore_patterns("__pycache__")
    for part in ("jobs", "cron", "local_qstash"):
        shutil.copytree(ROOT / "app" / part, package / part, ignore=ignored)
    for part in ("dev_settings.py", "lifeline.py", "ports.py"):
        shutil.copy(ROOT / "app" / part, package)
    return package
