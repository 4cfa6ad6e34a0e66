"""Two apps that people have get jobs: from `pip install` to a job that was retried."""

import json
import re
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from app.local_qstash.testing import LocalQStash
from tests.extension.environments import ENVIRONMENTS, MISSING, clean, pip_for, run
from tests.extension.host import Host
from tests.support.metrics import parsed

NewHost = Callable[[str], Host]
#: What setting up the environments may take where it comes before a test.
SLOW = pytest.mark.timeout(400)
#: What an app is given to begin with, and what it sends to QStash.
BEGIN = (
    "jobs db upgrade",
    "jobs schedules sync",
    'jobs enqueue greet {"text":"hi"} --queue mail',
    'jobs enqueue greet {"text":"hi"} --delay 1h',
)
#: With what the doctor ends where it finds nothing, or nothing worse than what it warns of.
WARNED = (0, 1)


@SLOW
@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_what_is_installed_fits_together(environments: Path, name: str) -> None:
    python, extra = environments / name / "bin/python", MISSING[name]
    run(*pip_for(environments / name), "check")

    use = f"from flask import Flask; from flask_qstash_jobs import {extra}"
    code = f"try:\n {use}; {extra}.init_app(Flask('x'))\nexcept ImportError as e: print(e)"
    said = run(python, "-c", code)
    assert f"pip install 'flask-qstash-jobs[{extra}]'" in said


@SLOW
def test_a_factory_with_uuid_keys_csrf_protection_and_its_own_history(new_host: NewHost) -> None:
    shop = new_host("shop")
    init = shop.flask("jobs", "init", "--yes")
    assert "QSTASH_TOKEN=" in (shop.folder / ".env").read_text()
    assert "JOBS_ID_TYPE=uuid" in (shop.folder / ".env").read_text()
    assert "run `flask jobs db upgrade`" in init
    shop.connect()

    shop.flask("jobs", "db", "upgrade")
    shop.flask("db", "init")
    shop.flask("db", "migrate")
    shop.flask("db", "upgrade")
    shop.flask("db", "check")
    (history,) = (shop.folder / "migrations/versions").glob("*.py")
    assert "job_" not in history.read_text()
    shop.flask("jobs", "new", "sms", "send-sms", "--field", "to:str")
    written = list(shop.folder.rglob("*send_sms.py"))
    assert len(written) == 2
    sort = ("ruff", "check", "--isolated", "--select=I")
    run(sys.executable, "-m", *sort, *written, cwd=shop.folder)
    shop.environment["JOBS_METRICS_TOKEN"] = "of the scraper"
    with shop.running():
        use(shop)
        assert "greet" in httpx.get(f"{shop.url}/admin/jobs/jobs").text
        assert deliveries(shop) == {"greet completed": 2, "greet failed": 1}
    shop.python("-m", "pytest", "-q", "-p", "no:cacheprovider", ".")


@SLOW
def test_a_global_api_below_a_prefix_with_a_login_in_front(new_host: NewHost) -> None:
    api = new_host("api")
    api.flask("jobs", "init", "--yes")
    api.connect()
    api.flask("jobs", "db", "upgrade")

    with api.running(ADMIN_SIGN_IN="password", JOBS_DASHBOARD="auto"):
        sign_in_beside_the_app_s_own(api)
        refused = failing(api, "jobs", "doctor", "--only", "signature")
        assert "answers 401" in refused
        assert "before_request calls api.demand_login, which answers" in refused
    api.environment |= {"LETS_QSTASH_PASS": "yes", "OTEL_TRACES_EXPORTER": "console"}
    with api.running():
        enqueueing = spans(use(api))
    delivering = spans((api.folder / "dev.log").read_text())

    delivered = enqueueing["enqueue greet"] & delivering["process greet"]
    assert len(delivered) == 2
    assert delivered <= delivering["POST /v1/jobs/greet"]


def sign_in_beside_the_app_s_own(host: Host) -> None:
    """Neither the app's Flask-Login nor the dashboard's sign-in takes the other's users for its."""
    password = "correct horse battery"
    command = [str(host.bin / "flask"), "admin", "create-user", "otto", "--role", "operator"]
    subprocess.run(  # noqa: S603 - ours
        [*command, "--password-stdin"],
        cwd=host.folder,
        env=clean(host.environment),
        input=password.encode(),
        check=True,
    )
    own, dashboard = f"{host.url}/me", f"{host.url}/admin/jobs"
    with httpx.Client(follow_redirects=True) as browser:
        page = browser.get(f"{dashboard}/jobs?type=greet")
        token, wanted = re.findall(r'name="(?:csrf|next)" value="([^"]+)"', page.text)
        form = {"csrf": token, "name": "otto", "password": password, "next": wanted}
        signed_in = browser.post(f"{dashboard}/sign-in/check", data=form)
        assert "otto" in signed_in.text
        assert str(signed_in.url) == f"{dashboard}/jobs?type=greet"
        assert "greet" in signed_in.text
        assert browser.get(own).status_code == 401
    ada = {"Authorization": "Bearer ada"}
    assert httpx.get(own, headers=ada).text == "ada"
    assert "viewer" in httpx.get(dashboard, headers=ada).text


def use(host: Host) -> str:
    """Enqueue, deliver, retry, and ask all that operates jobs; return what the first printed."""
    printed = host.python("use.py", host.name)
    *_, listed, _ = host.commands(
        "jobs sweep", "jobs schedules sync", "jobs schedules list", "jobs reconcile"
    )
    assert "greet" in listed
    # A busy machine's database is slow, as it then says.
    examined = json.loads(host.flask("jobs", "doctor", "--json", codes=WARNED))
    levels = {found["check"]: found["level"] for found in examined}
    assert levels.pop("database") in {"pass", "warn"}
    assert set(levels.values()) == {"pass"}
    return printed


def deliveries(host: Host) -> dict[str, float]:
    """Scrape how many deliveries there were, by job type and outcome."""
    bearer = {"Authorization": f"Bearer {host.environment['JOBS_METRICS_TOKEN']}"}
    assert httpx.get(f"{host.url}/metrics").status_code == 401
    found = parsed(httpx.get(f"{host.url}/metrics", headers=bearer).text)
    return {
        f"{key[2]} {key[1]}": value
        for key, value in found.items()
        if key[0] == "jobs_deliveries_total" and value
    }


def spans(printed: str) -> defaultdict[str, set[str]]:
    """Return the traces that OpenTelemetry's console exporter printed, by their spans' names."""
    found = defaultdict(set)
    pattern = r'"name": "([^"]+)",\s+"context": \{\s+"trace_id": "(\w+)"'
    for name, trace in re.findall(pattern, printed):
        found[name].add(trace)
    return found


def failing(host: Host, *args: str) -> str:
    """Run a command that must fail, and return what it said."""
    done = subprocess.run(  # noqa: S603 - ours
        [host.bin / "flask", *args],
        cwd=host.folder,
        env=clean(host.environment),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2, done.stdout + done.stderr
    return done.stdout + done.stderr


@SLOW
def test_a_newcomer_with_nothing_but_python_runs_a_job(environments: Path) -> None:
    """By the first page of the docs: nine lines in the app, no database, no account, no file."""
    page = (Path(__file__).parents[2] / "docs/add-to-your-app.md").read_text()
    (job,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    (lines,) = re.findall(r"```text\n(from flask_qstash_jobs.*?)```", page, re.DOTALL)
    (address,) = re.findall(r"```text\n(app\.config.*?)```", page, re.DOTALL)
    app = "import os\nfrom flask import Flask\nfrom flask_sqlalchemy import SQLAlchemy\n"
    app += f"app = Flask(__name__)\n{address}db = SQLAlchemy(app)\n{lines}"
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)  # so that PostgreSQL's account may enter where we are root
        host = Host("newcomer", Path(folder), environments / "shop/bin", {})
        (host.folder / "greetings.py").write_text(job)
        (host.folder / "app.py").write_text(app)

        said = host.flask("jobs", "init", "--yes")
        assert "`flask jobs dev` runs an embedded PostgreSQL for it" in said
        with host.running():
            job_id = host.flask("jobs", "enqueue", "greet", '{"name": "Ann"}').strip()
            assert "completed" in host.flask("jobs", "watch", job_id)
        assert "The app has no database address" in failing(host, "jobs", "list")
        assert (host.folder / "instance/.gitignore").read_text() == "*\n"
    assert len([one for one in (address + lines).splitlines() if one]) <= 10


@SLOW
def test_two_apps_on_one_account_leave_each_other_alone(new_host: NewHost) -> None:
    with LocalQStash() as qstash:
        hosts = [new_host(name) for name in ENVIRONMENTS]
        for host in hosts:
            host.qstash_port = int(qstash.url.rpartition(":")[2])
            host.flask("jobs", "init", "--yes")
            host.connect()
        # Each says which schedules it has before and after the other has synced its own.
        mine = [schedules(host, *BEGIN) for host in hosts]
        again = [schedules(host) for host in hosts]
        bearer = {"Authorization": f"Bearer {qstash.token}"}
        queues = httpx.get(f"{qstash.url}/v2/queues", headers=bearer).json()
        limits = httpx.get(f"{qstash.url}/v2/flowControl", headers=bearer).json()

    assert all(mine)
    assert not mine[0] & mine[1]
    assert again == mine
    assert len({queue["name"] for queue in queues}) == 2
    keys = {limit["flowControlKey"] for limit in limits}
    assert len(keys) == 2
    assert {key.rpartition(".")[2] for key in keys} == {"g"}


def schedules(host: Host, *before: str) -> set[str]:
    """Return the ids of an app's schedules, and then make QStash's match the code once more."""
    *_, listed, _ = host.commands(*before, "jobs schedules list --json", "jobs schedules sync")
    return {one["id"] for one in json.loads(listed)}


@SLOW
def test_uninstalling_leaves_nothing(environments: Path, tmp_path: Path) -> None:
    run(sys.executable, "-m", "venv", "--without-pip", tmp_path / "bare")
    pip = pip_for(tmp_path / "bare")
    before = files(tmp_path / "bare")
    (wheel,) = (environments / "dist").glob("*.whl")

    run(*pip, "install", "-q", "--no-deps", wheel)
    assert files(tmp_path / "bare") > before
    run(*pip, "uninstall", "-q", "-y", "flask-qstash-jobs")

    assert files(tmp_path / "bare") == before


def files(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if "__pycache__" not in path.parts}
