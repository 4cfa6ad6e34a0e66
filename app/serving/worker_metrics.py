"""The counters of gunicorn's workers, in files that one process writes and all of them read."""

import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

#: Kinds of files whose values can be summed.
_SUMMED = ("counter", "histogram", "summary")
#: In the name of the file with the sums, in place of a process id.
_DEAD = "dead"


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
