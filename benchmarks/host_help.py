"""CPU of `flask jobs --help` beside `flask --help`, in an app that has installed the extension."""

import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from tests.extension.environments import clean, prepare  # noqa: E402

HOSTS = ROOT / "tests/extension/hosts"
#: The most that the help of jobs may take, in times of Flask's own.
CEILING = 1.5
ROUNDS = 5


def main(folder: Path) -> None:
    prepare(folder)
    environment = clean(
        {
            "FLASK_APP": "shop",
            "DATABASE_URL": "postgresql+psycopg://nobody@127.0.0.1:9/none",
            "BASE_URL": "http://127.0.0.1:5000",
            "QSTASH_TOKEN": "token",
            "QSTASH_CURRENT_SIGNING_KEY": "sig_1",
            "QSTASH_NEXT_SIGNING_KEY": "sig_2",
        }
    )
    flask = str(folder / "shop/bin/flask")
    own = statistics.median(cpu([flask, "--help"], environment) for _ in range(ROUNDS))
    jobs = statistics.median(cpu([flask, "jobs", "--help"], environment) for _ in range(ROUNDS))
    print(f"flask --help {own:.2f} s, flask jobs --help {jobs:.2f} s: {jobs / own:.2f} times")
    assert jobs <= CEILING * own, f"at most {CEILING} times"


def cpu(command: list[str], environment: dict[str, str]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, cwd=HOSTS, env=environment, stdout=subprocess.DEVNULL, check=True)  # noqa: S603 - ours
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as made:
            main(Path(made))
