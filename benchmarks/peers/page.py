"""The text of docs/benchmarks.md from a session's numbers."""

from collections.abc import Sequence

from benchmarks.peers.results import OURS, Figure, Session
from benchmarks.peers.scenarios import LADDER, SCENARIOS

FLOOR = "floor"
#: What is compared: how it reads, its unit, and whether less of it is better.
COMPARED = {
    "cpu": ("CPU per job", "ms", True),
    "rate": ("jobs per second", "/s", False),
    "wal": ("WAL per job", "B", True),
    "p50": ("p50", "ms", True),
    "p99": ("p99", "ms", True),
    "memory_workers": ("memory of the workers", "MB", True),
}
#: A factor that is this close to 1 is no difference, and a count this close to 0 is none per job.
_ALIKE, _NONE = 0.02, 0.05
#: In which scenarios a value says something of its own.
_WHERE = {"p50": ("single", "paced"), "p99": ("single", "paced"), "memory_workers": ("noop",)}
#: What is counted and compared: how it reads, and its unit.
_COUNTED_COMPARED = {
    "enqueue_round_trips": ("round trips of an enqueue", ""),
    "execute_round_trips": ("round trips of an execution", ""),
    "enqueue_wal": ("WAL of an enqueue", "B"),
    "execute_wal": ("WAL of an execution", "B"),
    "table": ("table per finished job", "B"),
    "indexes": ("indexes per finished job", "B"),
}
_ENQUEUE = {
    "cpu": "CPU ms",
    "cpu_producer": "caller",
    "cpu_server": "queue server",
    "cpu_postgres": "PostgreSQL",
    "wal": "WAL B",
    "rate": "jobs/s",
    "p50": "p50 ms",
    "p99": "p99 ms",
}
_EXECUTE = {
    "cpu": "CPU ms",
    "cpu_workers": "workers",
    "cpu_server": "queue server",
    "cpu_postgres": "PostgreSQL",
    "wal": "WAL B",
    "rate": "jobs/s",
    "p50": "p50 ms",
    "p99": "p99 ms",
    "memory_workers": "workers MB",
    "memory_server": "server MB",
}
_LADDER = {"cpu": "CPU ms", "cpu_workers": "gunicorn", "cpu_postgres": "PostgreSQL"}
_COUNTED = {
    "enqueue_statements": "enqueue: statements",
    "enqueue_round_trips": "round trips",
    "enqueue_commits": "commits",
    "enqueue_wal": "WAL B",
    "execute_statements": "execute: statements",
    "execute_round_trips": "round trips",
    "execute_commits": "commits",
    "execute_wal": "WAL B",
}
_KEPT = {
    "table": "table B",
    "indexes": "indexes B",
    "redis": "Redis B",
    "updates": "updates",
    "hot": "of these HOT",
    "deletes": "deletes",
}


def page(session: Session) -> str:
    parts = [_head(session), _losses(session), _wins(session), _conditions(session)]
    for key, scenario in SCENARIOS.items():
        if key in session.scenarios():
            columns = _EXECUTE if scenario.executes else _ENQUEUE
            about = f"{scenario.says[0].upper()}{scenario.says[1:]}."
            parts.append(_section(session, key, scenario.title, about, columns))
    if "noop" in session.scenarios():
        parts.append(_by_round(session))
    if LADDER in session.scenarios():
        about = _prose("""
            One no-op delivery at a time over HTTP to gunicorn with one process: to an empty Flask
            view; to one that verifies the signature by QStash's SDK; to one that changes the row by
            two bare statements in two transactions, and verifies nothing; and to ours.
        """)
        parts.append(_section(session, LADDER, "What a delivery costs, in steps", about, _LADDER))
    if session.counted:
        parts += [_counted(session), _growth(session)]
    return "\n\n".join(part for part in parts if part) + "\n"


def figure(session: Session) -> str:
    """Return the line of README: what a no-op job costs, beside who does the most alike."""
    told = []
    for name in (OURS, "procrastinate", "celery"):
        cpu, wal = (session.figure("noop", name, value) for value in ("cpu", "wal"))
        if cpu and wal:
            label = "" if name == OURS else f"{session.systems[name]['label']}: "
            near = "" if cpu.is_steady else "about "
            told.append(
                f"{label}{near}{cpu.median:.1f} ms of CPU and {wal.median / 1000:.1f} kB of WAL"
            )
    return (
        f"`make bench` measures this beside other job systems: {told[0]} for a no-op job, executed"
        f" and recorded ({'; '.join(told[1:])}). See [Benchmarks](docs/benchmarks.md)."
    )


def _head(session: Session) -> str:
    about = _prose("""
        This project beside other job systems and bare floors, measured in one session by
        `make bench`, which wrote this page; `make bench BENCH_ARGS=--help` explains what can be
        chosen. A machine that does other things, too, changes times more than CPU, and CPU more
        than counts. So compare the rows of one table, and expect other numbers elsewhere.
    """)
    marks = _prose(f"""
        A value is the median of {session.options["rounds"]} rounds. One with ~ is of rounds that
        differ by more than 15 % (the distance between their quartiles, beside the median), and no
        ratio is taken from it.
    """)
    chart = "![CPU per job by process](images/benchmarks.svg)"
    return "\n\n".join(("# Benchmarks", about, chart, f"{_started(session)} {marks}"))


def _prose(text: str) -> str:
    """Return a paragraph on one line."""
    return " ".join(text.split())


def _started(session: Session) -> str:
    about = "; ".join(f"{name}: {text}" for name, text in session.environment.items())
    skipped = "".join(f" {name} is missing: {why}." for name, why in session.skipped.items())
    return f"Begun {session.made}. {about[0].upper()}{about[1:]}.{skipped}"


def _losses(session: Session) -> str:
    rows = _compared(session, better=True)
    if not rows:
        return "## Where others are better\n\nNowhere in what was measured."
    about = "Every value in which another system is better than ours, the furthest first."
    return f"## Where others are better\n\n{about}\n\n{_table(_COMPARISON, rows)}"


def _wins(session: Session) -> str:
    rows = _compared(session, better=False)
    if not rows:
        return ""
    return f"## Where ours is better\n\n{_table(_COMPARISON, rows)}"


_COMPARISON = ("", "value", "ours", "others (ours divided by theirs)")


def _compared(session: Session, *, better: bool) -> list[list[str]]:
    """Return a row for each value in which others are better than ours, or else are not."""
    rows: list[tuple[float, list[str]]] = []
    for scenario in (key for key in session.scenarios() if key in SCENARIOS):
        for value, (label, unit, _) in COMPARED.items():
            own = session.figure(scenario, OURS, value)
            if own is None or scenario not in _WHERE.get(value, (scenario,)):
                continue
            others = _others(session, scenario, value, own, better=better)
            if others:
                texts = [text for _, text in sorted(others, reverse=True)]
                title = SCENARIOS[scenario].title
                cells = [title, label, f"{_number(own)} {unit}", "; ".join(texts)]
                rows.append((max(factor for factor, _ in others), cells))
    rows += _compared_counts(session, better=better)
    return [cells for _, cells in sorted(rows, key=lambda row: -row[0])]


def _compared_counts(session: Session, *, better: bool) -> list[tuple[float, list[str]]]:
    rows = []
    own = session.counted.get(OURS, {})
    for value, (label, unit) in _COUNTED_COMPARED.items():
        others = [
            (own[value] / counts[value], session.systems[name]["label"], counts[value])
            for name, counts in session.counted.items()
            if name != OURS and counts.get(value, 0) > _NONE and own.get(value)
        ]
        found = sorted(
            (one for one in others if (one[0] > 1) is better and abs(one[0] - 1) > _ALIKE),
            reverse=better,
        )
        if found:
            texts = [f"{name} {_plain(count, 1)} ({ratio:.2f})" for ratio, name, count in found]
            cells = ["Counted", label, f"{_plain(own[value], 1)} {unit}", "; ".join(texts)]
            rows.append((found[0][0] if better else 1 / found[0][0], cells))
    return rows


def _others(
    session: Session, scenario: str, value: str, own: Figure, *, better: bool
) -> list[tuple[float, str]]:
    """Return the systems that are better, or that are not, each with the factor between."""
    found = []
    less_is_better = COMPARED[value][2]
    for name in session.systems_in(scenario):
        other = session.figure(scenario, name, value)
        ratio = own.ratio_to(other) if other and name not in (OURS, FLOOR) else None
        if not ratio or not other:
            continue
        factor = ratio if less_is_better else 1 / ratio
        if (factor > 1) is better and abs(factor - 1) > _ALIKE:
            text = f"{session.systems[name]['label']} {_number(other)} ({ratio:.2f})"
            found.append((factor if better else 1 / factor, text))
    return found


def _conditions(session: Session) -> str:
    heads = ("system", "run as", "records of a job", "when an enqueue returns, a job is")
    rows = [
        [f"{one['label']} {one['version']}".strip(), one["runs_as"], one["records"], one["durable"]]
        for one in session.systems.values()
    ]
    fairness = _prose("""
        Each handler notes in a file that it ran, and returns `{"ok": true}`. Each system is run
        as its own documentation shows it, with its default settings but for what is named here;
        ours with gunicorn.conf.py. Celery runs its default pool, of processes: its threads open
        a connection to PostgreSQL for each result, and so does a worker that is quiet. What is
        recorded differs, and so does what it is good for: of a job of Dramatiq nothing can be
        looked up the next day, and a job of ours is a row that can be listed, retried and
        cancelled.
    """)
    values = _prose("""
        CPU is that of a system's workers, of its queue server (Redis, or the local QStash server;
        in production, QStash has machines of its own) and of PostgreSQL with its background
        processes. Where jobs are executed, it is without that of the process that enqueues. WAL is
        that of a job's whole life, enqueue included. Memory counts shared pages once.
    """)
    return "\n\n".join(("## What was run", _table(heads, rows), fairness, values))


def _section(
    session: Session, scenario: str, title: str, about: str, columns: dict[str, str]
) -> str:
    systems = session.systems_in(scenario)
    figures = {
        (name, key): figure
        for name in systems
        for key in columns
        if (figure := session.figure(scenario, name, key))
    }
    shown = {key: head for key, head in columns.items() if any(k == key for _, k in figures)}
    if scenario != LADDER:  # whose rungs have an order
        systems.sort(key=lambda name: figures[name, "cpu"].median)
    own = figures.get((OURS, "cpu"))
    rows = []
    for name in systems:
        cells = [_cell(figures.get((name, key))) for key in shown]
        cpu = figures[name, "cpu"]
        ratio = own.ratio_to(cpu) if own and name != OURS else None
        label = session.systems[name]["label"] if name in session.systems else name
        rows.append([label, *cells, f"{cpu.spread:.0%}", f"{ratio:.2f}" if ratio else ""])
    heads = ("", *shown.values(), "spread of CPU", "CPU of ours divided by this")
    return f"## {title}\n\n{about} {_jobs(session, scenario)}\n\n{_table(heads, rows)}"


def _by_round(session: Session) -> str:
    figures = {
        name: figure
        for name in session.systems_in("noop")
        if (figure := session.figure("noop", name, "rate"))
    }
    rounds = range(1, session.options["rounds"] + 1)
    rows = [
        [session.systems[name]["label"], *(f"{figure.by_round[one]:,.0f}" for one in rounds)]
        for name, figure in figures.items()
    ]
    table = _table(("", *(f"round {one}" for one in rounds)), rows)
    return f"## No-op jobs per second, round by round\n\n{table}"


def _jobs(session: Session, scenario: str) -> str:
    jobs = next(one.jobs for one in session.measurements if one.scenario == scenario)
    return f"{jobs:,} jobs in each round."


def _counted(session: Session) -> str:
    about = (
        "Per job, enqueued one by one and executed, by a proxy that reads the protocol before"
        " PostgreSQL; a worker's polls while it has work are among them. The workers wait until all"
        " is enqueued. Nothing is timed, so it is much the same on any machine."
    )
    return f"## What a job asks of PostgreSQL\n\n{about}\n\n{_per_job(session, _COUNTED, 1)}"


def _growth(session: Session) -> str:
    about = (
        "What is left per finished job, and what was done to rows: each update and delete leaves a"
        " dead tuple, and one that is not HOT also an entry in every index."
    )
    return f"## How the tables grow\n\n{about}\n\n{_per_job(session, _KEPT, 2)}"


def _per_job(session: Session, columns: dict[str, str], digits: int) -> str:
    rows = []
    for name, counts in session.counted.items():
        cells = [_plain(counts.get(key), digits) for key in columns]
        rows.append([session.systems[name]["label"], *cells])
    return _table(("", *columns.values()), rows)


def _plain(value: float | None, digits: int) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if value >= 100 else f"{value:.{digits}f}"


def _cell(figure: Figure | None) -> str:
    if figure is None:
        return ""
    return _number(figure) + ("" if figure.is_steady else " ~")


def _number(figure: Figure) -> str:
    value = figure.median
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
