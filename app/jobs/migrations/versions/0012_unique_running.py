"""Find by a function which job of a key runs, so that a claim need not be planned for that."""

from typing import Any

from alembic.operations import Operations
from sqlalchemy.types import TypeEngine

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

# Its condition is that of `uq_job_executions_unique_key`, by which PostgreSQL finds the row. To
# prove that it is took the planner three times as long as all the rest of a claim, and a driver
# forgets its prepared statements at each rollback. Here the plan is kept, and only a job of which
# one more may wait ever asks.
RUNNING = """
CREATE FUNCTION job_unique_running(wanted text, but bigint) RETURNS text STABLE
LANGUAGE plpgsql AS $$
BEGIN
    RETURN (
        SELECT min(job.job_id) FROM job_executions AS job
         WHERE job.unique_key = wanted AND job.unique_while = 'once more'
           AND job.started_at IS NOT NULL AND job.id IS DISTINCT FROM but
           AND (job.status = 'pending' AND job.started_at IS NULL
                OR job.unique_while <> 'pending'
                AND (job.status IN ('pending', 'processing')
                     OR job.status = 'failed' AND job.dead_at IS NULL)
                OR job.unique_while = 'completed' AND job.status = 'completed'));
END $$
"""


def upgrade(op: Operations, owner_id: TypeEngine[Any]) -> None:  # noqa: ARG001 - every revision's arguments
    op.execute(RUNNING)


def downgrade(op: Operations, owner_id: TypeEngine[Any]) -> None:  # noqa: ARG001 - likewise
    op.execute("DROP FUNCTION job_unique_running(text, bigint)")
