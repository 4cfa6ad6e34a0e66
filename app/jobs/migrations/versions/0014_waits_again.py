"""Have the steps that wait come back with a workflow that was cancelled.

The function of revision 0007. A job that is retried takes the cancel back; the steps that waited
for a signal have no job that could be retried, and stayed cancelled. A downgrade leaves it, as it
needs nothing that was not there before.
"""

from typing import Any

from alembic.operations import Operations
from sqlalchemy.types import TypeEngine

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

# Who ends the batch's last slot at this moment has its row locked, and is waited for.
REOPEN = """
CREATE OR REPLACE FUNCTION job_batch_reopen(which uuid) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM job_batches AS batch WHERE batch.id = which FOR NO KEY UPDATE;
    UPDATE job_batches AS batch SET state = 'running', ended_at = NULL, cancelled_at = NULL
     WHERE batch.id = which AND (batch.state <> 'running' OR batch.cancelled_at IS NOT NULL);
    IF NOT FOUND THEN
        RETURN;
    END IF;
    WITH again AS (
        UPDATE job_steps AS step
           SET ended = NULL, due_at = clock_timestamp() + make_interval(secs => step.timeout)
         WHERE step.batch_id = which AND step.kind = 'wait' AND step.ended = 'cancelled'
        RETURNING step.name)
    UPDATE job_batch_slots AS part SET pending = 1, cancelled = 0
      FROM again WHERE part.batch_id = which AND part.step = again.name;
    IF FOUND THEN
        UPDATE job_steps AS step SET ended = NULL
         WHERE step.batch_id = which AND step.ended = 'skipped';
    END IF;
END $$
"""


def upgrade(op: Operations, owner_id: TypeEngine[Any]) -> None:  # noqa: ARG001 - every revision's arguments
    op.execute(REOPEN)


def downgrade(op: Operations, owner_id: TypeEngine[Any]) -> None:
    """Leave the function: see above."""
