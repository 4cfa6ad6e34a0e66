"""Begin and skip the steps of a large workflow in little time, as it is one job's transaction.

The functions of revision 0007, whose rounds each compared all steps with each other: the death of
the first of 300 in a line took seven seconds, and of 1,000 more than a record may take. A downgrade
leaves them as they are here, as they do the same.
"""

from typing import Any

from alembic.operations import Operations
from sqlalchemy.types import TypeEngine

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

# A step has ended when all jobs that count for it have. What was skipped is looked at again where
# one that had ended differs now, as a dead job may have been retried. In rounds, because what ends
# decides about the steps after it; each looks only at those. They are sought by name and not by
# joins of all with all, for which the planner, who knows no more than the table's average, might
# compare each with each.
STEPS = """
CREATE OR REPLACE FUNCTION job_steps_advance(which uuid, called_off boolean) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    ready record;
    differs boolean;
    in_question text[];
    just_ended text[];
BEGIN
    WITH counted AS (
        SELECT part.step AS name, sum(part.pending) AS pending, sum(part.dead) AS dead,
               sum(part.cancelled) AS cancelled
          FROM job_batch_slots AS part
         WHERE part.batch_id = which AND part.step IS NOT NULL GROUP BY part.step),
    judged AS (
        SELECT step.name, step.ended AS was,
               CASE WHEN counted.pending > 0 THEN NULL
                    WHEN counted.dead > 0 THEN 'dead'
                    WHEN counted.cancelled > 0 THEN 'cancelled'
                    WHEN step.is_replaced THEN 'replaced'
                    ELSE 'completed' END AS ended
          FROM counted CROSS JOIN LATERAL (
                   SELECT named.name, named.ended, named.is_replaced FROM job_steps AS named
                    WHERE named.batch_id = which AND named.name = counted.name
                      AND named.kind IN ('job', 'wait') OFFSET 0) AS step),
    changed AS (
        UPDATE job_steps AS step SET ended = judged.ended FROM judged
         WHERE judged.was IS DISTINCT FROM judged.ended
           AND step.batch_id = which AND step.name = judged.name
        RETURNING judged.was)
    SELECT coalesce(bool_or(changed.was IS NOT NULL), false) INTO differs FROM changed;
    IF differs THEN
        UPDATE job_steps AS step SET ended = NULL
         WHERE step.batch_id = which AND step.ended = 'skipped';
    END IF;
    IF called_off THEN
        RETURN;
    END IF;
    in_question := ARRAY(
        SELECT step.name FROM job_steps AS step
         WHERE step.batch_id = which AND step.kind IN ('job', 'wait')
           AND step.started_at IS NULL AND step.ended IS NULL);
    WHILE in_question <> '{}' LOOP
        just_ended := '{}';
        FOR ready IN
            SELECT step.name, step.kind, step.job, step.if_dead, step.instead, before.is_well
              FROM unnest(in_question) AS one (name)
              JOIN job_steps AS step ON step.batch_id = which AND step.name = one.name
              CROSS JOIN LATERAL (
                  SELECT coalesce(bool_and(found.ended = 'completed'), true) AS is_well,
                         count(*) = count(found.ended) AS have_ended
                    FROM unnest(step.after) AS given (name)
                    JOIN job_steps AS found ON found.batch_id = which AND found.name = given.name
              ) AS before
             WHERE before.have_ended
             ORDER BY step.slot
        LOOP
            IF ready.is_well OR ready.if_dead = 'go on' THEN
                IF ready.kind = 'wait' THEN
                    IF job_step_listen(which, ready.name) THEN
                        just_ended := just_ended || ready.name;
                    END IF;
                ELSE
                    PERFORM job_step_start(which, ready.name, ready.job);
                END IF;
            ELSIF ready.instead IS NOT NULL THEN
                UPDATE job_steps AS step SET is_replaced = true
                 WHERE step.batch_id = which AND step.name = ready.name;
                PERFORM job_step_start(which, ready.name, ready.instead);
            ELSE
                UPDATE job_steps AS step SET ended = 'skipped'
                 WHERE step.batch_id = which AND step.name = ready.name;
                just_ended := just_ended || ready.name;
            END IF;
        END LOOP;
        in_question := ARRAY(
            SELECT step.name FROM job_steps AS step
             WHERE step.batch_id = which AND step.kind IN ('job', 'wait')
               AND step.started_at IS NULL AND step.ended IS NULL
               AND step.after && just_ended);
    END LOOP;
END $$
"""


def upgrade(op: Operations, owner_id: TypeEngine[Any]) -> None:  # noqa: ARG001 - every revision's arguments
    op.execute(STEPS)


def downgrade(op: Operations, owner_id: TypeEngine[Any]) -> None:
    """Leave the function: see above."""
