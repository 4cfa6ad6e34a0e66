"""The environments and apps of these tests."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.extension.environments import prepare
from tests.extension.host import Host
from tests.support.apps import fresh_database

# Apps of their own, whose tests run in environments of their own.
collect_ignore = ["hosts"]

HOSTS = Path(__file__).parent / "hosts"


@pytest.fixture(scope="session")
def environments(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """Return the folder of the environments, which all workers share."""
    base = tmp_path_factory.getbasetemp()
    shared = (base if worker_id == "master" else base.parent) / "environments"
    prepare(shared)
    return shared


@pytest.fixture
def new_host(
    environments: Path, database_server: str, tmp_path: Path
) -> Iterator[Callable[[str], Host]]:
    """Yield what makes an app of that name, whose database is empty."""
    with ExitStack() as databases:

        def make(name: str) -> Host:
            folder = tmp_path / name
            shutil.copytree(HOSTS, folder)
            database = fresh_database(database_server, f"{name}_{os.getpid()}")
            environment = {
                "FLASK_APP": name,
                "DATABASE_URL": databases.enter_context(database),
                "JOBS_PUBLISH_TIMEOUT": "1m",  # for a busy machine
            }
            return Host(name, folder, environments / name / "bin", environment)

        yield make
