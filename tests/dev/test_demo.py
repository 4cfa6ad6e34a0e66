"""`make demo`, the first command of README."""

import json
import re
import subprocess
import sys
from pathlib import Path

from app.dev.reaper import ROOT
from app.embedded_postgres.server import Server


def demos(*instances: Path) -> list[subprocess.CompletedProcess[str]]:
    """Run demos at the same moment, each in a folder of its own."""
    command = [sys.executable, "-m", "app.dev", "demo", "--instance"]
    started = [
        subprocess.Popen(  # noqa: S603 - our own command
            [*command, str(one)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for one in instances
    ]
    ended = [(one, *one.communicate()) for one in started]
    return [
        subprocess.CompletedProcess(one.args, one.returncode, out, err) for one, out, err in ended
    ]


def test_fault_K20_A9_two_demos_at_once_show_nine_jobs_each_and_share_and_leave_nothing(
    tmp_path: Path,
) -> None:
    folders = [tmp_path / name for name in ("one", "other")]
    ended = demos(*folders)

    try:
        for done in ended:
            assert done.returncode == 0, done.stdout + done.stderr
            assert done.stdout.count("✓") >= 9
            assert "Every job ended as expected" in done.stdout
        assert not list(tmp_path.rglob("postmaster.pid"))
        addresses = [re.findall(r"✓ (?:App|QStash) +(\S+)", done.stdout) for done in ended]
        assert len({*addresses[0], *addresses[1]}) == 4
        kept = [json.loads((one / "demo/credentials.json").read_text()) for one in folders]
        assert not {*kept[0]["qstash"].values()} & {*kept[1]["qstash"].values()}
        assert kept[0]["name"] != kept[1]["name"]
    finally:
        for folder in folders:
            Server(folder / "demo" / "postgres").destroy()
