"""Which jobs were enqueued."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import is_dataclass
from typing import Any
from uuid import UUID

from ..payload import sealing
from ..registry import JobConfig, get_job_config
from ..schemas import load_envelope
from ..table.models import JobExecution
from ..values.nearest import hint
from . import rows


def assert_enqueued(job_type: str, payload: Any = None, /, **columns: Any) -> JobExecution:
    """Assert that such a job is recorded, and return the newest.

    Those from before the test's fixture `published` or `failing_qstash` began do not count.

    Args:
        job_type: A registered name.
        payload: What the payload must contain: camel-case JSON, of which parts are enough at every
            level, or the payload's dataclass. Sealed fields are compared in plain text.
        **columns: What columns of `JobExecution` must be, such as `user_id=7`; of JSON, such as
            `options={"delay": 600}`, parts are enough.

    Raises:
        UnknownJobType, TypeError: There is no such job type or column.
        AssertionError: There is no such job; the message says how those of its type differ.
    """
    config = get_job_config(job_type)
    rows.check_columns(list(columns))
    found = rows.jobs(JobExecution.job_type == job_type)
    differing = {row: list(_differences(config, row, payload, columns)) for row in found}
    matching = [row for row, differences in differing.items() if not differences]
    if matching:
        return matching[-1]
    wanted = _said(job_type, payload, columns)
    raise AssertionError(f"no {wanted} was enqueued{_instead(differing)}")


def refute_enqueued(job_type: str, payload: Any = None, /, **columns: Any) -> None:
    """Assert that no such job is recorded; takes and raises what `assert_enqueued` does."""
    try:
        row = assert_enqueued(job_type, payload, **columns)
    except AssertionError:
        return
    wanted = _said(job_type, payload, columns)
    raise AssertionError(f"a {wanted} was enqueued: {rows.describe(row)}")


def _differences(
    config: JobConfig, row: JobExecution, payload: Any, columns: Mapping[str, Any]
) -> Iterator[str]:
    if payload is not None:
        wanted = config.schema.dump(payload) if is_dataclass(payload) else payload
        yield from _compared("payload", wanted, _payload(row))
    for name, value in columns.items():
        wanted = str(value) if isinstance(value, UUID) else value  # as rows have them
        yield from _compared(name, wanted, getattr(row, name))


def _payload(row: JobExecution) -> dict[str, Any]:
    return sealing.unseal(load_envelope(row.payload), row.job_id)


def _compared(path: str, wanted: Any, actual: Any) -> Iterator[str]:
    """Say where `actual` does not contain `wanted`."""
    if isinstance(wanted, Mapping) and isinstance(actual, Mapping):
        for key, value in wanted.items():
            if key in actual:
                yield from _compared(f"{path}.{key}", value, actual[key])
            else:
                yield f"{path} has no {key!r}; {hint(str(key), map(str, actual))}"
    elif isinstance(wanted, list) and isinstance(actual, list) and len(wanted) == len(actual):
        for index, (one, other) in enumerate(zip(wanted, actual, strict=True)):
            yield from _compared(f"{path}[{index}]", one, other)
    elif wanted != actual:
        yield f"{path} is {actual!r}"


def _said(job_type: str, payload: Any, columns: Mapping[str, Any]) -> str:
    asked = ([f"payload={payload!r}"] if payload is not None else []) + [
        f"{name}={value!r}" for name, value in columns.items()
    ]
    return f"{job_type!r} job" + (f" with {', '.join(asked)}" if asked else "")


def _instead(differing: Mapping[JobExecution, list[str]]) -> str:
    if differing:
        lines = [f"\n  {row.job_id}: {'; '.join(why)}" for row, why in differing.items()]
        return f". Those of its type differ:{''.join(lines)}"
    others = Counter(row.job_type for row in rows.jobs())
    counts = ", ".join(f"{count} {name}" for name, count in sorted(others.items()))
    return (
        f". Recorded are: {counts or 'none at all'}. If it was enqueued with session=…, "
        "that session must have committed."
    )
