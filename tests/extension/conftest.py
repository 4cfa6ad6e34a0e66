"""A host app in its own environment, with a database of its own."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.extension.environments import clean, prepare, run
from tests.support.apps import fresh_database
from tests.support.ports import reserved_port
from tests.support.processes import answers
from tests.support.waiting import wait_until

# Apps of their own, whose tests run in environments of their own.
collect_ignore = ["hosts"]

HOSTS = Path(__file__).parent / "hosts"
#: The path that each is mounted at.
MOUNTED = {"shop": "", "api": "/shop"}


@dataclass(slots=True)
class Host:
    """An app that has the extension, in a folder of its own."""

    name: str
    folder: Path
    bin: Path
    environment: dict[str, str]
    port: int = field(default_factory=reserved_port)
    qstash_port: int = field(default_factory=reserved_port)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}{MOUNTED[self.name]}"

    def flask(self, *args: str, **more: str) -> str:
        return run(self.bin / "flask", *args, cwd=self.folder, **{**self.environment, **more})

    def python(self, *args: str, **more: str) -> str:
        return run(self.bin / "python", *args, cwd=self.folder, **{**self.environment, **more})

    def connect(self) -> None:
        """Have its settings name its own address and its QStash's, as `flask jobs dev` does."""
        self.environment |= {
            "BASE_URL": self.url,
            "QSTASH_URL": f"http://127.0.0.1:{self.qstash_port}",
        }

    @contextmanager
    def running(self, **more: str) -> Iterator[None]:
        """Run `flask jobs dev` until the end, which one Ctrl-C is enough for."""
        ports = ["--port", str(self.port), "--qstash-port", str(self.qstash_port)]
        log = self.folder / "dev.log"
        with log.open("w") as out:
            process = subprocess.Popen(  # noqa: S603 - ours
                [self.bin / "flask", "jobs", "dev", *ports, "--speed", "100", "--memory"],
                cwd=self.folder,
                env=clean({**self.environment, **more}),
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        try:
            wait_until(lambda: answers(f"http://127.0.0.1:{self.port}"), log.read_text)
            yield
        finally:
            os.killpg(process.pid, 2)
            code = process.wait(timeout=20)
        assert code == 0, log.read_text()
        assert not answers(f"http://127.0.0.1:{self.qstash_port}")


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
    databases = []

    def make(name: str) -> Host:
        folder = tmp_path / name
        shutil.copytree(HOSTS, folder)
        database = fresh_database(database_server, f"{name}_{os.getpid()}_{len(databases)}")
        databases.append(database)
        environment = {"FLASK_APP": name, "DATABASE_URL": database.__enter__()}
        return Host(name, folder, environments / name / "bin", environment)

    yield make
    for database in databases:
        database.__exit__(None, None, None)
