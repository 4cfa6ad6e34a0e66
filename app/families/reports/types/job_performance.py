"""The report `job-performance`: how background jobs ran."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from sqlalchemy import Row, bindparam, text

from app.families.reports.catalog import report_type
from app.families.reports.report import (
    Better,
    Chart,
    ChartKind,
    Column,
    Contents,
    Figure,
    Series,
    Table,
    Unit,
)
from app.families.reports.scope import FIRST, Scope
from app.jobs.kit import OwnerIdColumn

#: Job types in the chart, and errors in the table.
RANKED, MOST_ERRORS = 8, 25

_ORGANIZATION = bindparam("organization", type_=OwnerIdColumn())

# One pass over the table for all groups: by bucket, by period, by type within a period.
# A job's duration is that of its successful attempt. Waiting times come from jobs whose first
# attempt was the last, because `started_at` is that of the latest attempt.
_JOBS = text("""
WITH jobs AS (
    SELECT width_bucket(created_at, CAST(:edges AS timestamptz[])) AS bucket,
           created_at >= :present AS present, job_type, status, retry_count, dead_at,
           CASE WHEN status = 'completed'
                THEN extract(epoch FROM completed_at - started_at)::float8 END AS seconds,
           CASE WHEN retry_count = 0 AND generation = 0 AND reschedules = 0 AND legs = 0
                THEN extract(epoch FROM started_at - greatest(created_at, available_at))::float8
                END AS waited
      FROM job_executions
     WHERE created_at >= :since AND created_at < :until
       AND (:organization IS NULL OR organization_id = :organization))
SELECT bucket, present, job_type, count(*) AS jobs,
       count(*) FILTER (WHERE status = 'completed') AS completed,
       count(*) FILTER (WHERE dead_at IS NOT NULL) AS dead,
       sum(retry_count)::bigint AS retries,
       percentile_cont(CAST('{0.5,0.95,0.99}' AS float8[]))
           WITHIN GROUP (ORDER BY seconds) AS seconds,
       percentile_cont(0.95) WITHIN GROUP (ORDER BY waited) AS waited
  FROM jobs
 GROUP BY GROUPING SETS ((bucket), (present), (present, job_type))""").bindparams(_ORGANIZATION)

# By the error's first line without numbers and ids, so that one cause is one row.
_ERRORS = text(f"""
SELECT regexp_replace(left(split_part(error, E'\\n', 1), 160),
                      '[0-9a-f]{{8}}-[0-9a-f-]{{27}}|[0-9]+', '#', 'g') AS error,
       job_type, count(*) AS jobs, count(*) FILTER (WHERE dead_at IS NOT NULL) AS dead,
       max(timezone('UTC', created_at))::date AS last,
       count(*) OVER () AS kinds
  FROM job_executions
 WHERE status = 'failed' AND error IS NOT NULL
   AND created_at >= :present AND created_at < :until
   AND (:organization IS NULL OR organization_id = :organization)
 GROUP BY 1, 2
 ORDER BY jobs DESC, error, job_type
 LIMIT {MOST_ERRORS}""").bindparams(_ORGANIZATION)  # noqa: S608 - our own number

NOTES = (
    (
        "Days are days in UTC; a job belongs to the day on which it was enqueued. Changes compare"
        " with the equally long period just before."
    ),
    (
        "Success rate is the share of completed jobs among those that are completed or failed for"
        " good."
    ),
    (
        "A duration is that of the successful attempt. 50, 95 and 99 of 100 jobs took no longer"
        " than p50, p95 and p99."
    ),
    (
        "Waiting time is from when a job was due to its start, of jobs that succeeded or failed at"
        " their first attempt."
    ),
    "In errors, digits and ids are replaced by #, so that one cause is one line.",
)


@dataclass(frozen=True, slots=True)
class Found:
    """The rows of the query, by their group."""

    present: Row[Any] | None
    previous: Row[Any] | None
    by_type: list[Row[Any]]
    by_bucket: dict[int, Row[Any]]


@report_type(
    "job-performance",
    title="Job performance",
    description="Volume, success rate, durations, waiting times, retries, failures by error",
)
def job_performance(scope: Scope) -> Contents:
    found = _read(scope)
    return Contents(
        figures=_figures(found),
        charts=_charts(found, scope),
        tables=[_types(found), _errors(scope)],
        notes=NOTES,
    )


def _read(scope: Scope) -> Found:
    rows = scope.rows(_JOBS)
    periods = {row.present: row for row in rows if row.bucket is None and row.job_type is None}
    types = [row for row in rows if row.job_type is not None and row.present]
    return Found(
        present=periods.get(True),
        previous=periods.get(False),
        by_type=sorted(types, key=lambda row: (-(_percentile(row, 1) or 0), row.job_type)),
        by_bucket={row.bucket: row for row in rows if row.bucket is not None},
    )


def _figures(found: Found) -> list[Figure]:
    def figure(
        key: str, label: str, unit: Unit, better: Better, of: Callable[[Row[Any] | None], Any]
    ) -> Figure:
        value, previous = of(found.present), of(found.previous)
        return Figure(
            key=key, label=label, value=value, previous=previous, unit=unit, better=better
        )

    seconds, less = Unit.SECONDS, Better.LESS
    return [
        figure("jobs", "Jobs", Unit.COUNT, Better.NEITHER, lambda row: row.jobs if row else 0),
        figure("successRate", "Success rate", Unit.PERCENT, Better.MORE, _success),
        figure("dead", "Failed for good", Unit.COUNT, less, lambda row: row.dead if row else 0),
        figure("retries", "Retries", Unit.COUNT, less, lambda row: row.retries if row else 0),
        figure("p50", "Duration, p50", seconds, less, lambda row: _percentile(row, 0)),
        figure("p95", "Duration, p95", seconds, less, lambda row: _percentile(row, 1)),
        figure("p99", "Duration, p99", seconds, less, lambda row: _percentile(row, 2)),
        figure("waited", "Waiting, p95", seconds, less, lambda row: row.waited if row else None),
    ]


def _charts(found: Found, scope: Scope) -> list[Chart]:
    days = scope.period.buckets
    rows = [found.by_bucket.get(FIRST + index) for index in range(len(days))]
    over_time = partial(Chart, points=days)
    return [
        over_time(
            key="volume",
            title="Jobs by outcome",
            kind=ChartKind.STACK,
            series=[
                Series("completed", "Completed", [row.completed if row else 0 for row in rows]),
                Series("dead", "Failed for good", [row.dead if row else 0 for row in rows]),
            ],
        ),
        over_time(
            key="durations",
            title="Duration",
            kind=ChartKind.LINE,
            series=[
                Series("p50", "p50", [_percentile(row, 0) for row in rows]),
                Series("p95", "p95", [_percentile(row, 1) for row in rows]),
            ],
            unit=Unit.SECONDS,
        ),
        over_time(
            key="waiting",
            title="Waiting time, p95",
            kind=ChartKind.AREA,
            series=[
                Series("waited", "Waiting, p95", [row.waited if row else None for row in rows])
            ],
            unit=Unit.SECONDS,
        ),
        _slowest(found),
    ]


def _slowest(found: Found) -> Chart:
    rows = [row for row in found.by_type if _percentile(row, 1) is not None][:RANKED]
    return Chart(
        key="slowest",
        title="Slowest job types, p95",
        kind=ChartKind.RANKING,
        points=[row.job_type for row in rows],
        series=[Series("p95", "p95", [_percentile(row, 1) for row in rows])],
        unit=Unit.SECONDS,
    )


def _types(found: Found) -> Table:
    return Table(
        key="types",
        title="Job types, slowest first",
        columns=[
            Column("jobType", "Job type", Unit.TEXT),
            Column("jobs", "Jobs"),
            Column("completed", "Completed"),
            Column("dead", "Failed for good"),
            Column("successRate", "Success rate", Unit.PERCENT),
            Column("retries", "Retries"),
            Column("p50", "p50", Unit.SECONDS),
            Column("p95", "p95", Unit.SECONDS),
            Column("p99", "p99", Unit.SECONDS),
            Column("waited", "Waiting, p95", Unit.SECONDS),
        ],
        rows=[_line(row) for row in found.by_type],
        totals=[_line(found.present)] if found.present else [],
    )


def _line(row: Row[Any]) -> tuple[Any, ...]:
    percentiles = [_percentile(row, which) for which in range(3)]
    counts = (row.jobs, row.completed, row.dead)
    return (row.job_type, *counts, _success(row), row.retries, *percentiles, row.waited)


def _errors(scope: Scope) -> Table:
    found = scope.rows(_ERRORS)
    return Table(
        key="errors",
        title="Failures by error",
        columns=[
            Column("error", "Error", Unit.TEXT),
            Column("jobType", "Job type", Unit.TEXT),
            Column("jobs", "Jobs"),
            Column("dead", "For good"),
            Column("last", "Last", Unit.DAY),
        ],
        rows=[(row.error, row.job_type, row.jobs, row.dead, row.last) for row in found],
        total_rows=found[0].kinds if found else 0,
    )


def _success(row: Row[Any] | None) -> float | None:
    ended = row.completed + row.dead if row else 0
    return row.completed / ended if row and ended else None


def _percentile(row: Row[Any] | None, which: int) -> float | None:
    return row.seconds[which] if row and row.seconds else None
