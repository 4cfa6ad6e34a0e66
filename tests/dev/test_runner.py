"""Several processes run as one, and none is left whatever happens to the runner."""

import io
import json
import os
import re
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.dev.console import Console
from app.dev.reaper import ROOT
from app.dev.runner import Runner, RunnerError, answers, says
from tests.support.ports import reserved_port
from tests.support.waiting import wait_until

SLEEPER = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(600)"]
STUBBORN = [*SLEEPER[:2], f"import signal; signal.signal(15, signal.SIG_IGN); {SLEEPER[2]}"]
ENV = dict(os.environ)


@pytest.fixture
def log() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def runner(log: io.StringIO) -> Iterator[Runner]:
    with Runner(Console(log)) as runner:
        yield runner


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # An orphan whose adoptive parent has not collected it yet is dead all the same.
    stat = Path(f"/proc/{pid}/stat")
    return not stat.exists() or stat.read_text().rsplit(") ", 1)[1][0] not in "ZX"


def python(code: str) -> list[str]:
    return [sys.executable, "-c", textwrap.dedent(code)]


def test_each_line_bears_the_name_of_its_process(runner: Runner, log: io.StringIO) -> None:
    runner.start("one", python("print('first'); print('second')"), env=ENV).join()
    runner.start("another", python("import sys; sys.stderr.write('third')"), env=ENV).join()

    assert log.getvalue().splitlines() == [
        "one      │ first",
        "one      │ second",
        "another  │ third",
    ]


def test_a_step_is_one_line(runner: Runner, log: io.StringIO) -> None:
    many = python("for number in range(90): print('revision', number)")

    runner.run("migrate", many, env=ENV, doing="making the tables …")

    assert log.getvalue().splitlines() == ["migrate  │ making the tables …"]


def test_a_process_is_ready_when_it_says_so(runner: Runner) -> None:
    process = runner.start("one", SLEEPER, env=ENV, ready=says("^up$"))

    assert process.exit_code() is None


def web(port: int, folder: Path, instance: str) -> list[str]:
    (folder / "healthz").write_text(json.dumps({"status": "ok", "instance": instance}))
    where = ["--bind", "127.0.0.1", "--directory", str(folder)]
    return [sys.executable, "-m", "http.server", str(port), *where]


def test_a_process_is_ready_when_it_answers(runner: Runner, tmp_path: Path) -> None:
    port = reserved_port()
    ready = answers(f"http://127.0.0.1:{port}/healthz", "ours")
    runner.start("web", web(port, tmp_path, "ours"), env=ENV, ready=ready)

    runner.check()


def test_fault_K20_A9_who_answers_for_another_instance_is_not_taken_for_ready(
    runner: Runner, tmp_path: Path
) -> None:
    port = reserved_port()
    ready = answers(f"http://127.0.0.1:{port}/healthz", "ours")

    with pytest.raises(RunnerError, match="web is not the process that answers at"):
        runner.start("web", web(port, tmp_path, "theirs"), env=ENV, ready=ready)


def test_a_process_that_is_never_ready_is_an_error_with_its_last_lines(runner: Runner) -> None:
    with pytest.raises(RunnerError, match=r"one was not ready within 0\.5 seconds[^$]*  up"):
        runner.start("one", SLEEPER, env=ENV, ready=says("never"), timeout=0.5)


def test_a_process_that_ends_before_it_is_ready_is_an_error_with_its_last_lines(
    runner: Runner,
) -> None:
    with pytest.raises(RunnerError, match=r"one ended with exit code 3 before[^$]*port taken"):
        runner.start("one", python("print('port taken'); exit(3)"), env=ENV, ready=says("up"))


def test_a_failed_step_is_an_error_with_its_last_lines(runner: Runner) -> None:
    with pytest.raises(RunnerError, match=r"migrate failed with exit code 1[^$]*no table"):
        runner.run("migrate", python("raise SystemExit('no table')"), env=ENV, doing="…")


def test_waiting_ends_with_an_error_when_one_process_dies(runner: Runner) -> None:
    runner.start("lasting", SLEEPER, env=ENV)
    runner.start("dying", python("print('bye')"), env=ENV)

    with pytest.raises(RunnerError, match=r"dying ended with exit code 0[^$]*bye"):
        runner.wait()


def test_leaving_stops_all_in_reverse_order(log: io.StringIO) -> None:
    farewell = """
        import signal, sys, time
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(print('stopped')))
        print('up', flush=True)
        time.sleep(600)
    """
    with Runner(Console(log)) as runner:
        for name in ("first", "second"):
            runner.start(name, python(farewell), env=ENV, ready=says("up"))

    stopped = [line for line in log.getvalue().splitlines() if "stopped" in line]
    assert stopped == ["second   │ stopped", "first    │ stopped"]


def test_children_of_a_process_are_stopped_too(log: io.StringIO) -> None:
    parent = f"""
        import subprocess
        child = subprocess.Popen({SLEEPER!r})
        print(child.pid, flush=True)
        child.wait()
    """
    with Runner(Console(log)) as runner:
        runner.start("parent", python(parent), env=ENV, ready=says("up"))
        child = int(re.findall(r"│ (\d+)", log.getvalue())[0])
        assert alive(child)

    assert not alive(child)


SCRIPT = """
    import os, signal, sys
    from app.dev.console import Console
    from app.dev.runner import Runner, interruptible, says
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # as a shell does that starts it with `&`
    try:
        with interruptible(), Runner(Console(sys.stdout)) as runner:
            for command in {commands!r}:
                process = runner.start("child", command, env=dict(os.environ), ready=says("up"))
                print("pid", process.group, flush=True)
            print("all up", flush=True)
            runner.wait()
    except KeyboardInterrupt:
        sys.exit(130)
"""


def start_script(*commands: list[str]) -> tuple[subprocess.Popen[str], list[int]]:
    """Start a process that runs these commands, and return it with their process ids."""
    script = subprocess.Popen(  # noqa: S603 - our own code
        python(SCRIPT.format(commands=commands)),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert script.stdout
    pids = []
    for line in iter(script.stdout.readline, ""):
        if line.startswith("pid"):
            pids.append(int(line.split()[1]))
        if line.startswith("all up"):
            break
    return script, pids


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupted_runner_stops_everything(number: signal.Signals) -> None:
    script, pids = start_script(SLEEPER, SLEEPER)
    os.killpg(script.pid, number)  # as a terminal does

    script.communicate()
    assert script.returncode == 130
    assert [pid for pid in pids if alive(pid)] == []


def test_a_second_interrupt_kills_what_would_not_stop() -> None:
    script, pids = start_script(STUBBORN)
    script.send_signal(signal.SIGINT)
    with pytest.raises(subprocess.TimeoutExpired):
        script.wait(timeout=1)

    script.send_signal(signal.SIGINT)
    script.communicate()
    assert [pid for pid in pids if alive(pid)] == []


def test_nothing_is_left_even_when_the_runner_is_killed() -> None:
    script, pids = start_script(SLEEPER, SLEEPER)
    script.kill()
    script.communicate()

    wait_until(lambda: not any(map(alive, pids)), "the end of all processes")
