"""QStash: is it up, with our keys, our time and our schedules?"""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from flask import current_app

from .. import schedules
from ..errors import PublishError
from ..operate.readiness import TOKEN_REFUSED
from ..publish import outbox
from .checks import Finding, failure, own, passed, warning

ROTATION = "https://upstash.com/docs/qstash/howto/roll-signing-keys"
#: Seconds that QStash's `Date`, which has no fractions, is wrong by itself.
ROUNDING = 1.0


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
def sweep() -> Finding:
    """Without a sweep, nothing repairs what a crash or an outage leaves behind."""
    if current_app.config["JOBS_SWEEP_EVERY"]:
        return passed("each process sweeps by itself")
    sweep = schedules.own_id(schedules.SWEEP_NAME)
    if any(one.schedule_id == sweep for one in schedules.installed()):
        return passed("QStash calls for a sweep every five minutes")
    return failure(
        "nothing sweeps",
        fix="run `flask jobs schedules sync`, or keep `flask jobs sweep --every 30s` running",
    )
