"""What dead workers counted: it stays, and takes no more room than one of them."""

import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.mmap_dict import MmapedDict

from app import gunicorn_hooks
from app.dev.reaper import ROOT
from tests.support.metrics import parsed
from tests.support.ports import reserved_port
from tests.support.waiting import wait_until

# Counts requests as the app does, and tells the sum.
APP = """
from pathlib import Path
import os
from prometheus_client import Counter, Histogram, CollectorRegistry, generate_latest
from app.jobs.metrics.collectors import CountsCollector

REQUESTS = Counter("requests_total", "Requests.")
SECONDS = Histogram("seconds", "Time.", buckets=(1, 10))

def app(environ, start_response):
    if environ["PATH_INFO"] == "/metrics":
        registry = CollectorRegistry()
        registry.register(CountsCollector(Path(os.environ["PROMETHEUS_MULTIPROC_DIR"])))
        body = generate_latest(registry)
    else:
        REQUESTS.inc()
        SECONDS.observe(5)
        body = b""
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [body]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "counts"


@pytest.fixture
def url(tmp_path: Path, folder: Path) -> Iterator[str]:
    """A gunicorn that replaces its worker after every few requests."""
    (tmp_path / "wsgi.py").write_text(APP)
    port = reserved_port()
    env = {**os.environ, "PORT": str(port), "PROMETHEUS_MULTIPROC_DIR": str(folder)}
    command = [sys.executable, "-m", "gunicorn", "-c", str(ROOT / "gunicorn.conf.py")]
    with (tmp_path / "log").open("w") as log:
        server = subprocess.Popen(  # noqa: S603 - our own command
            [*command, "--max-requests", "4"], cwd=tmp_path, env=env, stdout=log, stderr=log
        )
    wait_until(lambda: "Booting worker" in (tmp_path / "log").read_text(), "a start")
    yield f"http://127.0.0.1:{port}"
    server.send_signal(signal.SIGTERM)
    server.wait(60)


def get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=60) as answer:  # noqa: S310 - our own server
        return str(answer.read().decode())


def test_fault_K21_what_dead_workers_counted_stays_in_one_file(url: str, folder: Path) -> None:
    for _ in range(24):
        get(url)
    # Six or so have come and gone; the last may be about to.
    wait_until(lambda: len(list(folder.glob("counter_*.db"))) <= 3, "the merging")
    names = {path.name for path in folder.glob("*.db")}
    found = parsed(get(f"{url}/metrics"))

    assert {"counter_dead.db", "histogram_dead.db"} <= names
    assert found["requests_total",] == 24
    assert found["seconds_count",] == 24
    assert found["seconds_bucket", "10.0"] == 24


def test_while_a_scrape_reads_nothing_is_merged_and_later_it_is(tmp_path: Path) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    left = tmp_path / f"counter_{dead.pid}.db"
    written = MmapedDict(str(left))
    written.write_value('["a", "a_total", {}, "help"]', 3.0, 0.0)
    written.close()

    with gunicorn_hooks.undisturbed(tmp_path):
        gunicorn_hooks.absorb_the_dead(tmp_path)
        assert left.exists()
    gunicorn_hooks.absorb_the_dead(tmp_path)
    gunicorn_hooks.absorb_the_dead(tmp_path)

    assert not left.exists()
    [(_, value, _, _)] = MmapedDict.read_all_values_from_file(tmp_path / "counter_dead.db")
    assert value == 3.0


def test_files_of_the_living_are_left_alone(tmp_path: Path) -> None:
    mine = tmp_path / f"histogram_{os.getpid()}.db"
    MmapedDict(str(mine)).close()
    gunicorn_hooks.absorb_the_dead(tmp_path)

    assert mine.exists()


def test_fault_K21_a_gunicorn_that_cannot_have_its_port_leaves_no_folder(tmp_path: Path) -> None:
    (tmp_path / "wsgi.py").write_text(APP)
    memory = Path("/dev/shm")  # noqa: S108 - where gunicorn.conf.py puts it
    env = {**os.environ, "HOST": "192.0.2.1", "PORT": "8000"}  # an address that is nobody's
    before = set(memory.glob("metrics-*"))
    server = subprocess.Popen(  # noqa: S603 - our own command
        [sys.executable, "-m", "gunicorn", "-c", str(ROOT / "gunicorn.conf.py")],
        cwd=tmp_path,
        env=env,
        stderr=subprocess.DEVNULL,
    )

    assert server.wait(60) != 0
    assert not [
        path for path in set(memory.glob("metrics-*")) - before if f"-{server.pid}-" in path.name
    ]


def test_what_a_killed_gunicorn_left_is_removed_by_the_next(tmp_path: Path) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    orphan, ours = tmp_path / f"metrics-{dead.pid}-x", tmp_path / f"metrics-{os.getpid()}-x"
    orphan.mkdir()
    ours.mkdir()
    gunicorn_hooks.remove_orphans(tmp_path)

    assert not orphan.exists()
    assert ours.exists()
