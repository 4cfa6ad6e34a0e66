"""The system account that PostgreSQL runs as, and places where that account can reach its files.

PostgreSQL refuses to run as root. As root, it runs as an unprivileged account instead, which
may not be able to enter the folder of this repository (below /root, say) or its virtual
environment. Permissions of other folders are never widened for it: its files move to `SHARED`, our
own folder.
"""

import hashlib
import os
import pwd
import shutil
import subprocess
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from .binaries import Binaries, PostgresError

SHARED = Path("/var/lib/flask-qstash-jobs")


@dataclass(frozen=True)
class Account:
    """The account that runs PostgreSQL: ours (`user` is None), or another because we are root."""

    user: pwd.struct_passwd | None

    @classmethod
    def current(cls) -> "Account":
        return cls(_unprivileged() if os.geteuid() == 0 else None)

    def run(self, *argv: str | Path) -> subprocess.CompletedProcess[str]:
        """Run a program as this account and capture what it says."""
        # Only this environment: PGPORT, PGDATA and the like would change what the programs do.
        env = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"}
        options: dict[str, Any] = {"cwd": "/", "env": env, "umask": 0o077}
        if self.user:
            options |= {"user": self.user.pw_uid, "group": self.user.pw_gid, "extra_groups": []}
        return subprocess.run(  # noqa: S603 - fixed programs, no shell
            [*argv],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            **options,
        )

    def give(self, path: Path) -> None:
        """Make this account the owner of a file or folder of ours."""
        if self.user:
            os.chown(path, self.user.pw_uid, self.user.pw_gid)

    def reachable_home(self, folder: Path) -> Path:
        """Create the folder where a server lives and return it, elsewhere if it must be."""
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder = folder.parent.resolve() / folder.name
        if self.user and self.run("test", "-x", folder.parent).returncode != 0:
            folder = _shared(folder)
        folder.mkdir(exist_ok=True)
        if self.user:
            folder.chmod(0o711)
        return folder

    def reachable_binaries(self, binaries: Binaries) -> Binaries:
        """Return binaries that this account can run: the given ones, or a copy of them."""
        if not self.user or self._can_run(binaries.folder):
            return binaries
        installation = binaries.folder.parent
        copy = _shared(installation)
        if not copy.is_dir():
            _copy_installation(installation, copy)
        return replace(binaries, folder=_within(copy, installation) / binaries.folder.name)

    def _can_run(self, folder: Path) -> bool:
        try:
            return self.run(folder / "postgres", "--version").returncode == 0
        except PermissionError:
            return False


def _unprivileged() -> pwd.struct_passwd:
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise PostgresError(
        "PostgreSQL does not run as root and there is no account `postgres` or `nobody` to run"
        " it as. Work as a user other than root, or set DATABASE_URL to a server that you have."
    )


def _shared(path: Path) -> Path:
    SHARED.mkdir(mode=0o755, parents=True, exist_ok=True)
    return SHARED / f"{path.name}-{hashlib.sha256(bytes(path)).hexdigest()[:16]}"


def _within(copy: Path, installation: Path) -> Path:
    return copy / installation.parent.name / installation.name


def _copy_installation(installation: Path, target: Path) -> None:
    """Copy an installation (bin, lib and share) atomically.

    A wheel has libraries in a folder beside the package, which its programs find by the relative
    path, so that is kept: https://github.com/pypa/auditwheel
    """
    libraries = installation.parent.with_name(f"{installation.parent.name}.libs")
    with tempfile.TemporaryDirectory(dir=target.parent, ignore_cleanup_errors=True) as partial:
        copy = Path(partial) / "copy"
        shutil.copytree(installation, _within(copy, installation), symlinks=True)
        if libraries.is_dir():
            shutil.copytree(libraries, copy / libraries.name)
        for path in (copy, *copy.rglob("*")):
            if not path.is_symlink():
                path.chmod(0o755 if path.is_dir() or os.access(path, os.X_OK) else 0o644)
        try:
            copy.rename(target)
        except OSError:  # another process was faster, and its copy is complete
            if not target.is_dir():
                raise
