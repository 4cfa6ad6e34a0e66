"""A shell in which `flask` is answered by this process: real quoting, pipes and variables.

Starting a Python with the app would take a second for each command.
"""

import json
import os
import socketserver
import subprocess
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from flask import Flask
from flask.cli import FlaskGroup

# -S and -I: without site-packages it starts in a few hundredths of a second.
_CLIENT = """#!{python} -SI
import json, socket, sys
with socket.create_connection(("127.0.0.1", {port})) as connection:
    connection.sendall(json.dumps(sys.argv[1:]).encode())
    connection.shutdown(socket.SHUT_WR)
    code, out, err = json.load(connection.makefile())
sys.stdout.write(out)
sys.stderr.write(err)
sys.exit(code)
"""


@dataclass
class Terminal:
    """A bash with a working folder, whose variables live from one block to the next."""

    folder: Path
    path: Path

    def run(self, commands: str) -> None:
        """Run commands, each of which must succeed."""
        kept = self.folder / ".variables"
        restore = f". {kept}\n" if kept.exists() else ""
        keep = f"\nexport -p > {kept}\n"
        done = subprocess.run(  # noqa: S603 - our own pages
            ["/bin/bash", "-c", f"{restore}set -aeuo pipefail\n{commands}{keep}"],
            cwd=self.folder,
            env={"PATH": f"{self.path}:{os.environ['PATH']}", "HOME": str(self.folder)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{commands}\n{done.stdout}\n{done.stderr}"


@contextmanager
def terminal(app: Flask, folder: Path) -> Iterator[Terminal]:
    class Answer(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.wfile.write(json.dumps(_answer(app, json.load(self.rfile))).encode())

    path = folder / "bin"
    path.mkdir()
    with socketserver.TCPServer(("127.0.0.1", 0), Answer) as server:
        client = path / "flask"
        client.write_text(_CLIENT.format(python=sys.executable, port=server.server_address[1]))
        client.chmod(0o755)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield Terminal(folder, path)
        finally:
            server.shutdown()
            thread.join()


def _answer(app: Flask, arguments: list[str]) -> tuple[int, str, str]:
    """Run a command as the `flask` executable would: with the commands that plugins add."""
    if arguments[:2] == ["jobs", "new"] and "--dry-run" not in arguments:
        return 2, "", "would write into this very project: list it in not_run.py"
    command = FlaskGroup(create_app=lambda: app, load_dotenv=False)
    done = app.test_cli_runner().invoke(command, arguments)
    unexpected = done.exception and not isinstance(done.exception, SystemExit)
    trace = "".join(traceback.format_exception(done.exception)) if unexpected else ""
    return done.exit_code, done.stdout, done.stderr + trace
