"""Give a step's job its tags, keep what steps returned, and list batches by their state.

The functions are those of revision 0007 with what was missing; a downgrade to it leaves them as
they are here, as they do the same with what it records.
"""

from typing import Any

from alembic.operations import Operations
from sqlalchemy.types import TypeEngine

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

STATE = "idx_job_batches_state"

# A step's job is counted by a slot of its own; what follows a batch's end is counted by none. The
# job's id was chosen when the batch was made, so a second start would find it taken. Its delay, and
# what it may take to begin, are counted from now on. A pause holds it from its record on, so that
# it never counts as one that nobody publishes.
START = """
CREATE OR REPLACE FUNCTION job_step_start(which uuid, wanted text, made jsonb) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    counted_by integer;
    expires jsonb := '{}';
BEGIN
    UPDATE job_steps AS step SET started_at = clock_timestamp(), job_id = made->>'job_id'
     WHERE step.batch_id = which AND step.name = wanted RETURNING step.slot INTO counted_by;
    IF counted_by IS NOT NULL THEN
        INSERT INTO job_batch_slots (batch_id, slot, step, jobs, pending)
        VALUES (which, counted_by, wanted, 1, 1);
    END IF;
    IF made->>'expires_in' IS NOT NULL THEN
        expires := jsonb_build_object('expires', clock_timestamp()
                                      + make_interval(secs => (made->>'expires_in')::float8));
    END IF;
    INSERT INTO job_executions (job_id, job_type, payload, user_id, organization_id, queue,
                                max_retries, options, available_at, batch_id, slot, tags, parent_id,
                                pause)
    SELECT row.job_id, row.job_type, row.payload, row.user_id, row.organization_id, row.queue,
           row.max_retries, row.options || expires,
           coalesce(row.available_at, clock_timestamp()
                    + make_interval(secs => (made->'options'->>'delay')::float8)), which,
           counted_by, row.tags, row.parent_id,
           (SELECT min(held.pause) FROM job_pauses AS held WHERE held.pause IN (
                'type:' || row.job_type, 'organization:' || row.organization_id,
                'queue:' || row.queue, 'key:' || (row.options->'flow_control'->>'key')))
      FROM jsonb_populate_record(CAST(NULL AS job_executions), made) AS row
    ON CONFLICT (job_id) DO NOTHING;
END $$
"""

# The first statement is the lock, as it was. A workflow of which a step was replaced, to make good
# what was done, has not completed, also if the job that was dead then completes later.
ADVANCE = """
CREATE OR REPLACE FUNCTION job_batch_advance(which uuid) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    is_workflow boolean;
    called_off boolean;
    now_is text;
BEGIN
    UPDATE job_batches AS batch SET turns = batch.turns + 1 WHERE batch.id = which
    RETURNING batch.kind = 'workflow', batch.cancelled_at IS NOT NULL INTO is_workflow, called_off;
    IF is_workflow THEN
        PERFORM job_steps_advance(which, called_off);
    END IF;
    IF EXISTS (SELECT FROM job_batch_slots AS part
                WHERE part.batch_id = which AND part.pending > 0) THEN
        RETURN;
    END IF;
    SELECT CASE WHEN called_off THEN 'cancelled'
                WHEN sum(part.dead) > 0 THEN 'failed'
                WHEN sum(part.cancelled) > 0 THEN 'cancelled'
                WHEN is_workflow AND EXISTS (SELECT FROM job_steps AS step
                                              WHERE step.batch_id = which AND step.is_replaced)
                THEN 'failed' ELSE 'completed' END
      INTO now_is FROM job_batch_slots AS part WHERE part.batch_id = which;
    UPDATE job_batches AS batch SET state = now_is, ended_at = clock_timestamp()
     WHERE batch.id = which AND batch.state <> now_is;
    PERFORM job_step_start(which, step.name, step.job) FROM job_steps AS step
      WHERE step.batch_id = which AND step.started_at IS NULL
        AND step.kind = CASE now_is WHEN 'completed' THEN 'then'
                                    WHEN 'failed' THEN 'on_failure' END;
END $$
"""

# A job may be deleted before the steps that read what it returned have begun.
KEEP = """
CREATE FUNCTION job_step_keep_result() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE job_steps AS step SET result = OLD.result
     WHERE step.batch_id = OLD.batch_id AND step.job_id = OLD.job_id;
    RETURN NULL;
END $$
"""
TRIGGER = """
CREATE TRIGGER job_step_keep_result AFTER DELETE ON job_executions
FOR EACH ROW WHEN (OLD.slot IS NOT NULL AND OLD.status = 'completed' AND OLD.result IS NOT NULL)
EXECUTE FUNCTION job_step_keep_result()
"""


def upgrade(op: Operations, owner_id: TypeEngine[Any]) -> None:  # noqa: ARG001 - as all have it
    for statement in (START, ADVANCE, KEEP, TRIGGER):
        op.execute(statement)
    op.create_index(STATE, "job_batches", ["state", "created_at"])


def downgrade(op: Operations, owner_id: TypeEngine[Any]) -> None:  # noqa: ARG001 - likewise
    op.drop_index(STATE, "job_batches")
    op.execute("DROP TRIGGER job_step_keep_result ON job_executions")
    op.execute("DROP FUNCTION job_step_keep_result()")
