"""What a terminal and what a file get to see."""

import io

import pytest

from app.dev.console import Console
from app.dev.progress import Line, Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


PENDING = Line("welcome", "send-email", "pending", 0, 0.1, as_expected=None)
DONE = Line("welcome", "send-email", "completed", 1, 0.25, as_expected=True)


@pytest.fixture(autouse=True)
def colour_is_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)


def test_each_process_has_its_colour_in_a_terminal() -> None:
    terminal = Terminal()
    console = Console(terminal)
    for name in ("web", "qstash", "web"):
        console.line(name, "hello")

    first, second, third = terminal.getvalue().splitlines()
    assert first == third == "\033[36mweb      │\033[0m hello"
    assert second == "\033[35mqstash   │\033[0m hello"


def test_no_color_is_respected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    terminal = Terminal()
    Console(terminal).line("web", "hello")

    assert terminal.getvalue() == "web      │ hello\n"


def test_a_terminal_sees_one_table_that_is_drawn_anew_in_its_place() -> None:
    terminal = Terminal()
    progress = Progress(terminal)
    progress.show([PENDING])
    progress.show([DONE])

    first, second = terminal.getvalue().split("\033[4F\033[J")
    assert "pending" in first
    assert "0 of 1 ended" in first
    assert "completed" in second
    assert "1 of 1 ended" in second


def test_a_file_sees_a_line_for_each_change_and_the_table_at_the_end() -> None:
    file = io.StringIO()
    progress = Progress(file)
    for line in (PENDING, PENDING, DONE):
        progress.show([line])
    progress.finish([DONE])

    assert file.getvalue().splitlines() == [
        "  welcome: pending, attempts 0",
        "  welcome: completed, attempts 1",
        "",
        "    JOB      TYPE        STATUS     ATTEMPTS  DURATION",
        "  ✓ welcome  send-email  completed         1    0.25 s",
    ]


def test_a_job_that_ended_otherwise_than_it_should_is_marked() -> None:
    file = io.StringIO()
    Progress(file).finish([Line("welcome", "send-email", "failed", 1, 1, as_expected=False)])

    assert "✗ welcome" in file.getvalue()
