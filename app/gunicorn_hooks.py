"""gunicorn's hooks for an app with jobs; its gunicorn.conf.py imports those that it wants.

    from flask_qstash_jobs.gunicorn_hooks import child_exit, on_exit, when_ready
    from flask_qstash_jobs.gunicorn_hooks import post_fork, post_worker_init

`post_worker_init` lets running jobs finish when a worker stops. `post_fork` is for `preload_app`.
The others are for metrics: workers count into files of one folder, which one process writes and all
of them read, so that each can report the sum. The wheel ships this file as well; it loads nothing
of the app, whose code a reload of gunicorn's is to read anew.
"""

import fcntl
import gc
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

#: Tells prometheus-client that several processes count, and in which folder.
_METRICS = "PROMETHEUS_MULTIPROC_DIR"
#: What a worker loads with its first requests, and is slow and large.
_SOON = ("prometheus_client", "qstash")
#: Kinds of files whose values can be summed.
_SUMMED = ("counter", "histogram", "summary")
#: In the name of the file with the sums, in place of a process id.
_DEAD = "dead"


def when_ready(server: Any) -> None:
    """Prepare what the workers have in common, before any is forked.

    Not before the address is bound: a gunicorn that cannot bind leaves nothing behind.
    """
    if find_spec("prometheus_client") is not None:
        _make_folder(server.cfg.worker_tmp_dir)
    if server.cfg.preload_app:
        _share()


def post_fork(server: Any, _worker: Any) -> None:
    """Have this worker open its own connections, where the app was loaded before the fork."""
    app: Any = server.app.callable if server.cfg.preload_app else None
    if "jobs" in getattr(app, "extensions", {}):
        from .jobs.kit import forget_connections  # noqa: PLC0415 - only where there are jobs

        forget_connections(app)


def on_exit(server: Any) -> None:
    """Remove the folder, unless a new gunicorn took it over with the environment (SIGUSR2)."""
    folder = Path(os.environ.get(_METRICS, ""))
    if folder.name.startswith(f"metrics-{os.getpid()}-") and not server.reexec_pid:
        shutil.rmtree(folder, ignore_errors=True)


def child_exit(server: Any, worker: Any) -> None:
    """Keep a worker's counters, and drop its gauges."""
    if _METRICS not in os.environ:
        return
    try:
        from prometheus_client import multiprocess  # noqa: PLC0415 - slow, and rarely needed

        multiprocess.mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]  # has no annotations
        absorb_the_dead(Path(os.environ[_METRICS]))
    except Exception:  # what is raised here would stop gunicorn, and counts are not worth that
        server.log.exception("The counts of worker %s stay in its own files", worker.pid)


def post_worker_init(worker: Any) -> None:
    """Let running jobs finish or go back to the queue when this worker has to stop."""
    config = getattr(worker.wsgi, "config", {})
    if "JOBS_GRACE" in config:
        from .jobs.kit import at_sigterm  # noqa: PLC0415 - only where there are jobs

        at_sigterm(config["JOBS_GRACE"])


def _make_folder(parent: str | None) -> None:
    """Make the folder, where PROMETHEUS_MULTIPROC_DIR names none, and empty it."""
    if _METRICS not in os.environ:
        remove_orphans(Path(parent or tempfile.gettempdir()))
        # Named by this process, whose end is the folder's.
        os.environ[_METRICS] = tempfile.mkdtemp("", f"metrics-{os.getpid()}-", parent)
    folder = Path(os.environ[_METRICS])
    folder.mkdir(parents=True, exist_ok=True)
    for left_over in folder.glob("*.db"):
        left_over.unlink()


def _share() -> None:
    """Load what every worker will need, and keep the memory of all that is loaded shared.

    A garbage collection writes to each object that it looks at, and so copies its page to the
    worker; what is frozen, it does not look at.
    """
    for name in _SOON:
        with suppress(ImportError):
            import_module(name)
    gc.unfreeze()  # what wsgi.py froze has garbage in it
    gc.collect()
    gc.freeze()


def absorb_the_dead(folder: Path) -> None:
    """Add the counts of dead processes to one file for each kind, and remove theirs.

    Otherwise every worker would leave its files behind, and a scrape would read all of them. During
    a scrape nothing is done: it happens when the next worker ends.
    """
    with suppress(BlockingIOError), _locked(folder, fcntl.LOCK_EX | fcntl.LOCK_NB):
        for kind in _SUMMED:
            left = [path for path in folder.glob(f"{kind}_*.db") if not _is_alive(path)]
            if left:
                _absorb(folder / f"{kind}_{_DEAD}.db", left)


@contextmanager
def undisturbed(folder: Path) -> Iterator[None]:
    """Keep files from being merged meanwhile: counts would be read twice, or not at all."""
    with _locked(folder, fcntl.LOCK_SH):
        yield


def remove_orphans(parent: Path) -> None:
    """Remove the folders that killed gunicorns left behind."""
    for folder in parent.glob("metrics-*-*"):
        pid = folder.name.split("-")[1]
        if pid.isdigit() and not _exists(int(pid)):
            shutil.rmtree(folder, ignore_errors=True)  # another account's stays


def _absorb(total: Path, left: list[Path]) -> None:
    from prometheus_client.mmap_dict import MmapedDict  # noqa: PLC0415 - slow, and rarely needed

    # Written to a new file and renamed: a process that dies meanwhile leaves the counts unchanged.
    partial = total.with_suffix(".new")
    partial.unlink(missing_ok=True)
    if total.exists():
        shutil.copyfile(total, partial)
    sums = MmapedDict(str(partial))  # type: ignore[no-untyped-call]  # has no annotations
    for path in left:
        for key, value, _, _ in MmapedDict.read_all_values_from_file(path):  # type: ignore[no-untyped-call]  # as above
            before, _ = sums.read_value(key)  # type: ignore[no-untyped-call]  # as above
            sums.write_value(key, before + value, time.time())  # type: ignore[no-untyped-call]  # as above
    sums.close()  # type: ignore[no-untyped-call]  # as above
    partial.replace(total)
    for path in left:
        path.unlink()


def _is_alive(path: Path) -> bool:
    pid = path.stem.rpartition("_")[2]
    return not pid.isdigit() or _exists(int(pid))


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


@contextmanager
def _locked(folder: Path, how: int) -> Iterator[None]:
    with (folder / "lock").open("w") as file:
        fcntl.flock(file, how)
        yield
