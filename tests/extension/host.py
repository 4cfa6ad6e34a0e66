"""An app that has the extension, in an environment and a folder of its own."""

import json
import os
import subprocess
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.extension.environments import clean, run
from tests.support.ports import reserved_port
from tests.support.processes import answers
from tests.support.waiting import wait_until

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
        return f"http://127.0.0.1:{self.port}{MOUNTED.get(self.name, '')}"

    def flask(self, *args: str, codes: Collection[int] = (0,), **more: str) -> str:
        return self._run("flask", *args, codes=codes, more=more)

    def python(self, *args: str, **more: str) -> str:
        return self._run("python", *args, codes=(0,), more=more)

    def _run(self, program: str, *args: str, codes: Collection[int], more: dict[str, str]) -> str:
        environment: dict[str, Any] = {**self.environment, **more}
        return run(self.bin / program, *args, cwd=self.folder, codes=codes, **environment)

    def commands(self, *commands: str) -> list[str]:
        """Run `flask` commands in one process, and return what each printed."""
        printed = self.python("commands.py", self.name, *commands)
        return list(json.loads(printed.splitlines()[-1]))

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
