"""How busy each job type, queue, flow-control key and organization is, by what an index bounds."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import text

from .db import in_transaction
from .pauses import Kind
from .snapshot import CAP, WAITING

#: Seconds to look back on for the rate.
PERIOD = 3_600


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """The jobs of one type, queue, key or organization.

    Counting ends at `CAP` jobs of each state, over all: the first that are due, and the newest that
    ended.

    Attributes:
        waiting: Pending, but for no pause; also those that QStash retries, or that follow another.
        in_flight: Those that a handler runs for.
        paused: Those that wait for a pause to end.
        per_minute: Those that completed or died, per minute of the last hour, or of the time since
            the first of them that was counted.
    """

    kind: Kind
    name: str
    waiting: int = 0
    in_flight: int = 0
    paused: int = 0
    per_minute: float = 0.0


_ROWS = "job_type, queue, options, organization_id, CAST(NULL AS timestamptz) AS ended"
_STATES = " UNION ALL ".join(
    f"(SELECT '{state}' AS state, {_ROWS} FROM job_executions"  # noqa: S608 - our own text
    f" WHERE {condition} ORDER BY {order} LIMIT {CAP})"
    for state, (condition, order) in WAITING.items()
)
_LOADS = text(
    f"""
    WITH counted AS (
        {_STATES}
        UNION ALL
        (SELECT 'ended', job_type, queue, options, organization_id, completed_at
           FROM job_executions WHERE completed_at > now() - make_interval(secs => {PERIOD})
          ORDER BY completed_at DESC LIMIT {CAP})),
    span AS (
        SELECT CASE WHEN count(*) < {CAP} THEN {PERIOD}
                    ELSE greatest(extract(epoch FROM now() - min(ended)), 1) END / 60 AS minutes
          FROM counted WHERE state = 'ended')
    SELECT kind, name,
           count(*) FILTER (WHERE state IN ('pending', 'retrying', 'following')) AS waiting,
           count(*) FILTER (WHERE state = 'processing') AS in_flight,
           count(*) FILTER (WHERE state = 'paused') AS paused,
           (count(*) FILTER (WHERE state = 'ended') / min(minutes))::float8 AS per_minute
      FROM counted CROSS JOIN span, LATERAL (
        VALUES ('type', job_type), ('queue', queue), ('key', options->'flow_control'->>'key'),
               ('organization', CAST(organization_id AS text))) AS lane (kind, name)
     WHERE name IS NOT NULL
     GROUP BY kind, name
     ORDER BY count(*) DESC, name
    """  # noqa: S608 - as above
)


def loads() -> Sequence[Load]:
    """Return what is busy, the busiest first.

    Raises:
        DatabaseUnavailable: It cannot be told.
    """
    rows = in_transaction(lambda tx: tx.execute(_LOADS).all())
    return [Load(**row._asdict() | {"kind": Kind(row.kind)}) for row in rows]
