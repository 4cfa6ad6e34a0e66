"""QStash: is it up, with our keys, our time and our schedules?"""

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from flask import current_app

from .. import schedules
from ..durations import in_words
from ..errors import PublishError
from ..operate.readiness import TOKEN_REFUSED
from ..publish import outbox
from ..recover import sweep
from ..table.marks import Noted
from ..values import cron as crons
from .checks import Finding, failure, own, passed, warning

ROTATION = "https://upstash.com/docs/qstash/howto/roll-signing-keys"
#: Seconds that QStash's `Date`, which has no fractions, is wrong by itself.
ROUNDING = 1.0
#: By how much a sweep may be late before it is missing.
LATE = timedelta(hours=1)


@own("qstash")
def qstash() -> Finding:
    url = current_app.config["QSTASH_URL"]
    try:
        outbox.publisher().call(lambda qstash: qstash.signing_key.get())
    except PublishError as error:
        if error.status in TOKEN_REFUSED:
            return failure(
                f"{url} rejected the token",
                fix="copy QSTASH_TOKEN from https://console.upstash.com/qstash, for the same "
                "region. Until then, jobs wait in the table",
            )
        return failure(
            str(error),
            fix="check QSTASH_URL and the network path (firewall, proxy, DNS); in development, "
            "run `flask jobs dev`, or `flask qstash dev` alone. Until then, jobs wait in the table",
        )
    return passed(f"{url} answers and accepts the token")


@own("signing-keys", "qstash")
def signing_keys() -> Finding:
    """QStash's signing keys must be set here, now and after the next rotation."""
    theirs = outbox.publisher().call(lambda qstash: qstash.signing_key.get())
    config = current_app.config
    current, following = config["QSTASH_CURRENT_SIGNING_KEY"], config["QSTASH_NEXT_SIGNING_KEY"]
    if theirs.current not in {current, following}:
        return failure(
            "QStash signs with a key that is not set here: every delivery gets a 401",
            fix="copy QSTASH_CURRENT_SIGNING_KEY and QSTASH_NEXT_SIGNING_KEY from the console, "
            "and restart the app",
        )
    if theirs.current == following:
        return warning(
            "the keys were rotated: QStash now signs with our QSTASH_NEXT_SIGNING_KEY",
            fix=f"copy both keys again before the next rotation breaks deliveries: {ROTATION}",
        )
    if theirs.next != following:
        return warning(
            "QSTASH_NEXT_SIGNING_KEY is not QStash's: after a rotation, all deliveries would fail",
            fix="copy it from the console",
        )
    return passed("QStash signs with the keys that are set here")


@own("qstash-clock", "qstash")
def clock() -> Finding:
    """A signature is only valid for a short time."""
    import httpx  # noqa: PLC0415 - slow to import, and loaded with the SDK by now

    before = datetime.now(UTC)
    answer = httpx.get(current_app.config["QSTASH_URL"], timeout=5)
    ours = before + (datetime.now(UTC) - before) / 2
    if "Date" not in answer.headers:
        return passed("QStash sends no time to compare with")
    skew = (parsedate_to_datetime(answer.headers["Date"]) - ours).total_seconds()
    leeway = current_app.config["JOBS_SIGNATURE_LEEWAY"]
    if abs(skew) > leeway + ROUNDING:
        return failure(
            f"QStash's clock differs by {skew:+.0f} s, more than JOBS_SIGNATURE_LEEWAY allows: "
            "deliveries may get a 401",
            fix="synchronize this machine's clock by NTP",
        )
    return passed(f"QStash's clock differs by less than {leeway + ROUNDING:g} s")


@own("schedules", "qstash")
def schedules_differ() -> Finding:
    changes = schedules.plan()
    if changes and _is_fresh_development():
        return passed(
            "none installed, and development sweeps by itself; `flask jobs schedules sync` would "
            f"create {len(changes)}"
        )
    if changes:
        return warning(
            f"QStash's schedules differ from the code: {'; '.join(map(str, changes))}",
            fix="run `flask jobs schedules sync`",
        )
    paused = [one.schedule_id for one in schedules.installed() if one.paused]
    if paused:
        return warning(
            f"paused at QStash: {', '.join(paused)}",
            fix="resume them, or remove them from the code",
        )
    return passed("QStash's schedules match the code")


def _is_fresh_development() -> bool:
    """Tell whether this is a development app without any schedules so far."""
    config = current_app.config
    sweeps = config["JOBS_SWEEP_EVERY"] and not config["BASE_URL"].startswith("https://")
    return bool(sweeps) and not any(map(schedules.is_ours, schedules.installed()))


@own("sweep", "qstash", production=True)
def sweeps() -> Finding:
    """Without a sweep, nothing repairs what a crash or an outage leaves behind."""
    config, last = current_app.config, sweep.last()
    name = schedules.own_id(schedules.SWEEP_NAME)
    if not any(one.schedule_id == name for one in schedules.installed()):
        return _sweeps_alone(last)
    cron, now = config["JOBS_SWEEP_CRON"], datetime.now(UTC)
    due = crons.next_after(cron, last.at) if last else None
    if due is not None and due + LATE < now:
        return warning(
            f"no sweep came when QStash was to ask for one ({crons.explain(cron)}){_ago(last)}",
            fix="check what `probe` and `quota` find, then run `flask jobs sweep`",
        )
    own = ", and processes sweep by themselves" if config["JOBS_SWEEP_EVERY"] else ""
    return passed(f"QStash asks for a sweep ({crons.explain(cron)}){own}{_ago(last)}")


def _sweeps_alone(last: Noted | None) -> Finding:
    """Judge sweeps without QStash's schedule: by processes with requests, or by a command."""
    is_recent = last is not None and datetime.now(UTC) - last.at < LATE
    if is_recent and not current_app.config["JOBS_SWEEP_EVERY"]:
        return passed(f"a command sweeps{_ago(last)}")
    if current_app.config["JOBS_SWEEP_EVERY"]:
        return warning(
            f"only processes that get requests sweep{_ago(last)}",
            fix="run `flask jobs schedules sync`: QStash then asks for a sweep in any case",
        )
    return failure(
        f"nothing sweeps{_ago(last)}",
        fix="run `flask jobs schedules sync`, or keep `flask jobs sweep --every 30s` running",
    )


def _ago(last: Noted | None) -> str:
    if last is None:
        return ""
    return f"; the last was {in_words((datetime.now(UTC) - last.at).total_seconds())} ago"
