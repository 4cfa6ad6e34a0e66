"""Our reading of cron expressions beside robfig/cron's own."""

import json
import os
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest

from app.cron import CronError, NeverFiresError, in_words, parse

HERE = Path(__file__).parent
CASES: list[dict[str, Any]] = json.loads((HERE / "robfig.json").read_text())["cases"]
GO_SOURCES = Path("/usr/share/gocode")  # where Debian's golang-github-robfig-cron-dev is


def _firings(expression: str, after: datetime, count: int = 6) -> list[datetime]:
    schedule, found = parse(expression), [after]
    try:
        while len(found) <= count:
            found.append(schedule.next(found[-1]))
    except NeverFiresError:
        pass
    return found[1:]


def _name(case: dict[str, Any]) -> str:
    return f"{case['zone']}: {case['expr']}"


@pytest.mark.parametrize("case", CASES, ids=_name)
def test_fault_A8_F18_every_case_is_as_robfig_has_it(case: dict[str, Any]) -> None:
    expression = f"CRON_TZ={case['zone']} {case['expr']}" if case["expr"] else ""
    after = datetime.fromisoformat(case["from"])
    if "error" in case:
        with pytest.raises(CronError) as refusal:
            _firings(expression, after)
        assert case["error"].partition(":")[0] in str(refusal.value)
        return
    found = [f"{one.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}" for one in _firings(expression, after)]
    assert found == case.get("next", [])


ZONES = ["UTC", "Europe/Berlin", "America/New_York", "America/Sao_Paulo", "Australia/Lord_Howe",
         "Pacific/Chatham", "Antarctica/Troll", "Africa/Casablanca", "Asia/Kolkata", "Asia/Beirut",
         "America/Havana", "Asia/Gaza", "Africa/Cairo", "America/Santiago", "America/Asuncion",
         "Atlantic/Azores", "America/Nuuk", "Europe/Dublin", "Nowhere/City", ""]  # fmt: skip
NAMES = {3: ["jan", "FEB", "Dec"], 4: ["sun", "MON", "Sat", "7"]}


def _part(dice: Random, position: int) -> str:
    low, high = [(0, 59), (0, 23), (1, 31), (1, 12), (0, 6)][position]
    one = str(dice.randint(low, high))
    other = str(dice.randint(low - 1, high + 1))
    forms = ["*", "*", "*", "?", one, one, f"{one}-{other}", f"*/{dice.randint(0, 9)}", f"{one}/3",
             f"{one}-{other}/{dice.randint(1, 9)}", f"{one},{other}", f"{one},", "*-3", "+1", "L",
             "1-2-3", "1/2/3", "*/1", f"{one},*", ",", "9" * 30, "*/9223372036854775807",
             *NAMES.get(position, [])]  # fmt: skip
    return dice.choice(forms[: 14 if dice.random() < 0.9 else None])


def _expression(dice: Random) -> str:
    named = ["@daily", "@weekly", "@every 90m", "@every 1h2m3.9s", "@every -5s", "@every 0", "@x",
             "@every 10", "@every 1.5h", "@every 1d", "@every .5s", "@every 1us"]  # fmt: skip
    text = " ".join(_part(dice, position) for position in range(5))
    if dice.random() < 0.05:
        text = dice.choice(named)
    return f"CRON_TZ={dice.choice(ZONES)} {text}"


@pytest.mark.skipif(
    not (shutil.which("go") and (GO_SOURCES / "src/github.com/robfig/cron").is_dir()),
    reason="compares with robfig/cron itself where Go and Debian's package of it are installed",
)
def test_fault_A8_F18_random_expressions_are_as_robfig_itself_has_them(tmp_path: Path) -> None:
    dice = Random(20260329)  # noqa: S311 - to be repeatable
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    asked = [
        (begin + timedelta(seconds=dice.randrange(3 * 365 * 86_400)), _expression(dice))
        for _ in range(3_000)
    ]
    told = _ask_robfig(tmp_path, [f"{int(at.timestamp())}\t{text}" for at, text in asked])
    assert len(told) == len(asked)
    for (at, text), answer in zip(asked, told, strict=True):
        ours = _our_answer(text, at)
        both_refuse = ours == "error" and answer.startswith("error")
        assert both_refuse or ours == answer, f"{text} after {at}"


def _our_answer(expression: str, after: datetime) -> str:
    try:
        return " ".join(str(int(one.timestamp())) for one in _firings(expression, after))
    except CronError:
        return "error"


def _ask_robfig(folder: Path, lines: list[str]) -> list[str]:
    environment = os.environ | {
        "GO111MODULE": "off",
        "GOPATH": str(GO_SOURCES),
        "GOCACHE": str(folder),
        "GOFLAGS": "",
    }
    done = subprocess.run(  # noqa: S603 - our own program
        ["go", "run", str(HERE / "robfig/main.go")],  # noqa: S607 - wherever it is installed
        input="\n".join(lines),
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_fault_A7_a_firing_is_never_in_the_past() -> None:
    """Least of all in the hour that comes twice, in which it once was: in the week around it."""
    twice = {"Europe/Berlin": (10, 25), "Australia/Lord_Howe": (4, 5), "America/Havana": (11, 1)}
    for zone, (month, day) in twice.items():
        after = datetime(2026, month, day, tzinfo=UTC) - timedelta(days=4)
        for fields in ("30 2 * * *", "*/7 1-2 * * *", "0 0 * * *", "45 1 * * 0"):
            schedule = parse(f"CRON_TZ={zone} {fields}")
            for step in range(7 * 24 * 4):
                moment = after + timedelta(minutes=15 * step)
                assert schedule.next(moment) > moment


@pytest.mark.parametrize(
    "expression",
    ["0 0 31 2 *", "0 0 30 feb *", "0 0 31 4,6,9,11 *", ", * * * *", "* , * * *", "* * * , *",
     "* * , * ,", "CRON_TZ=Europe/Berlin 0 0 31 2 ?", "@every 2540000h"],
)  # fmt: skip
def test_fault_A8_what_never_fires_says_so_at_once(expression: str) -> None:
    after = datetime(2026, 1, 1, tzinfo=UTC)
    if expression.startswith("@every"):
        assert parse(expression).next(after) > after
    else:
        with pytest.raises(NeverFiresError):
            parse(expression).next(after)


@pytest.mark.parametrize("year", [2096, 9996, 9999])
def test_the_end_of_what_is_searched_is_no_error(year: int) -> None:
    with pytest.raises(NeverFiresError):
        parse("0 0 29 2 *").next(datetime(year, 3, 1, tzinfo=UTC))


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("CRON_TZ=Europe/Berlin", "no fields after the time zone"),
        ("CRON_TZ=Europe 0 0 * * *", "unknown time zone 'Europe'"),
        ("CRON_TZ=../UTC 0 0 * * *", "unknown time zone"),
        (" CRON_TZ=UTC 0 0 * * *", "found 6"),
        ("@Daily", "unrecognized descriptor"),
        ("@daily ", "unrecognized descriptor"),
        ("@every 1h 30m", "failed to parse duration"),
        ("@every", "unrecognized descriptor"),
        ("0 0 \uff12 * *", "Bad day-of-month"),
        ("0 0 1_0 * *", "Bad day-of-month"),
        ("9" * 5000 + " * * * *", "Bad minute: failed to parse int"),
        ("*/-1 * * * *", "negative number"),
    ],
)
def test_a_bad_expression_is_refused_with_the_field_and_the_reason(
    expression: str, reason: str
) -> None:
    with pytest.raises(CronError, match=reason):
        parse(expression)


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("@daily", "At 00:00 every day"),
        ("@every 90m", "Every 90m"),
        ("0 0 ? * 0", "At 00:00 on Sunday"),
        ("1, * * * *", "At minute 1 of every hour"),
        # Of another dialect the words would be wrong: there, both days must fit.
        ("0 0 */2 * 1", "0 0 */2 * 1"),
        ("0 0 * * 4/3", "0 0 * * 4/3"),
    ],
)
def test_the_words_are_true_or_there_are_none(expression: str, words: str) -> None:
    assert in_words(parse(expression)) == words
