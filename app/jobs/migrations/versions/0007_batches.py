"""Create the tables of batches and workflows; the database itself counts how their jobs end.

Whatever changes a job's status (a delivery, a sweep, a person, another program) fires the trigger,
in its own transaction. Of a job outside of any batch, the trigger's condition is all that runs.
"""

from typing import Any

import sqlalchemy as sa
from alembic.operations import Operations
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, UUID
from sqlalchemy.types import TypeEngine

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

#: What `migrations.prepare` does before, while jobs go on.
ADDED_BEFORE = {"batch_id": "uuid", "slot": "integer"}
INDEX = "idx_job_executions_batch_id"
BUILT_BEFORE = {INDEX: "(batch_id, id) WHERE batch_id IS NOT NULL"}

MOMENT = sa.DateTime(timezone=True)

# How a row's job has ended: null where it has not. A status that is unknown here is one of a job
# that did not do its work.
ENDED = """
    CASE {row}.status WHEN 'pending' THEN NULL WHEN 'processing' THEN NULL
         WHEN 'completed' THEN 'completed' WHEN 'cancelled' THEN 'cancelled'
         WHEN 'failed' THEN CASE WHEN {row}.dead_at IS NOT NULL THEN 'dead' END
         ELSE 'dead' END
"""
WAS, IS = ENDED.format(row="OLD"), ENDED.format(row="NEW")

# A completion's last statement is the update that fires this, so a slot is locked for the length of
# a commit. Only the last job of a slot goes on to the batch's row.
COUNT = f"""
CREATE FUNCTION job_batch_count() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    was text := {WAS};
    ended text := 'cancelled';
    waiting integer;
BEGIN
    IF TG_OP = 'UPDATE' THEN
        ended := {IS};
    END IF;
    UPDATE job_batch_slots AS part
       SET pending = part.pending + (ended IS NULL)::int - (was IS NULL)::int,
           dead = part.dead + (ended IS NOT DISTINCT FROM 'dead')::int
                            - (was IS NOT DISTINCT FROM 'dead')::int,
           cancelled = part.cancelled + (ended IS NOT DISTINCT FROM 'cancelled')::int
                                      - (was IS NOT DISTINCT FROM 'cancelled')::int
     WHERE part.batch_id = OLD.batch_id AND part.slot = OLD.slot
    RETURNING part.pending INTO waiting;
    IF ended IS NULL THEN
        PERFORM job_batch_reopen(OLD.batch_id);
    ELSIF waiting = 0 THEN
        PERFORM job_batch_advance(OLD.batch_id);
    END IF;
    RETURN NULL;
END $$
"""  # noqa: S608 - our own text

# Who ends the batch's last slot at this moment has its row locked, and is waited for.
REOPEN = """
CREATE FUNCTION job_batch_reopen(which uuid) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM job_batches AS batch WHERE batch.id = which FOR NO KEY UPDATE;
    UPDATE job_batches AS batch SET state = 'running', ended_at = NULL, cancelled_at = NULL
     WHERE batch.id = which AND (batch.state <> 'running' OR batch.cancelled_at IS NOT NULL);
END $$
"""

# The first statement is the lock. Of two who end the last two slots, the second waits there until
# the first has committed; the statements that follow then see what that one did, as each has a
# snapshot of its own. In a transaction with one snapshot for all, the second fails instead, because
# the row was changed and not only locked.
ADVANCE = """
CREATE FUNCTION job_batch_advance(which uuid) RETURNS void LANGUAGE plpgsql AS $$
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
                WHEN sum(part.cancelled) > 0 THEN 'cancelled' ELSE 'completed' END
      INTO now_is FROM job_batch_slots AS part WHERE part.batch_id = which;
    UPDATE job_batches AS batch SET state = now_is, ended_at = clock_timestamp()
     WHERE batch.id = which AND batch.state <> now_is;
    PERFORM job_step_start(which, step.name, step.job) FROM job_steps AS step
      WHERE step.batch_id = which AND step.started_at IS NULL
        AND step.kind = CASE now_is WHEN 'completed' THEN 'then'
                                    WHEN 'failed' THEN 'on_failure' END;
END $$
"""

# A step has ended when all jobs that count for it have. One that was skipped, or waits, is looked
# at again each time, as a dead job before it may have been retried. In rounds, because what is
# skipped decides about the steps after it.
STEPS = """
CREATE FUNCTION job_steps_advance(which uuid, called_off boolean) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    ready record;
    goes_on boolean;
BEGIN
    UPDATE job_steps AS step SET ended = counted.ended
      FROM (SELECT one.name, CASE WHEN sum(part.pending) > 0 THEN NULL
                                  WHEN sum(part.dead) > 0 THEN 'dead'
                                  WHEN sum(part.cancelled) > 0 THEN 'cancelled'
                                  WHEN one.is_replaced THEN 'replaced'
                                  WHEN sum(part.jobs) > 0 THEN 'completed' END AS ended
              FROM job_steps AS one
              LEFT JOIN job_batch_slots AS part
                     ON part.batch_id = one.batch_id AND part.step = one.name
             WHERE one.batch_id = which AND one.kind IN ('job', 'wait')
             GROUP BY one.name, one.is_replaced) AS counted
     WHERE step.batch_id = which AND step.name = counted.name
       AND step.ended IS DISTINCT FROM counted.ended;
    goes_on := NOT called_off;
    WHILE goes_on LOOP
        goes_on := false;
        FOR ready IN
            SELECT step.name, step.kind, step.job, step.if_dead, step.instead,
                   coalesce(bool_and(before.ended = 'completed'), true) AS is_well
              FROM job_steps AS step
              LEFT JOIN job_steps AS before
                     ON before.batch_id = which AND before.name = ANY(step.after)
             WHERE step.batch_id = which AND step.kind IN ('job', 'wait')
               AND step.started_at IS NULL AND step.ended IS NULL
             GROUP BY step.name, step.kind, step.job, step.if_dead, step.instead, step.slot
            HAVING count(before.name) = count(before.ended)
             ORDER BY step.slot
        LOOP
            IF ready.is_well OR ready.if_dead = 'go on' THEN
                IF ready.kind = 'wait' THEN
                    goes_on := job_step_listen(which, ready.name) OR goes_on;
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
                goes_on := true;
            END IF;
        END LOOP;
    END LOOP;
END $$
"""

# A step's job is counted by a slot of its own; what follows a batch's end is counted by none. The
# job's id was chosen when the batch was made, so a second start would find it taken.
START = """
CREATE FUNCTION job_step_start(which uuid, wanted text, made jsonb) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    counted_by integer;
BEGIN
    UPDATE job_steps AS step SET started_at = clock_timestamp(), job_id = made->>'job_id'
     WHERE step.batch_id = which AND step.name = wanted RETURNING step.slot INTO counted_by;
    IF counted_by IS NOT NULL THEN
        INSERT INTO job_batch_slots (batch_id, slot, step, jobs, pending)
        VALUES (which, counted_by, wanted, 1, 1);
    END IF;
    INSERT INTO job_executions (job_id, job_type, payload, user_id, organization_id, queue,
                                max_retries, options, available_at, batch_id, slot)
    SELECT row.job_id, row.job_type, row.payload, row.user_id, row.organization_id, row.queue,
           row.max_retries, row.options,
           coalesce(row.available_at, clock_timestamp()
                    + make_interval(secs => (made->'options'->>'delay')::float8)), which, counted_by
      FROM jsonb_populate_record(CAST(NULL AS job_executions), made) AS row
    ON CONFLICT (job_id) DO NOTHING;
END $$
"""

# A signal may have come before: then the step has ended as soon as it begins.
LISTEN = """
CREATE FUNCTION job_step_listen(which uuid, wanted text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    came boolean;
BEGIN
    UPDATE job_steps AS step
       SET started_at = clock_timestamp(),
           due_at = clock_timestamp() + make_interval(secs => step.timeout),
           ended = CASE WHEN step.signalled_at IS NOT NULL THEN 'completed' END
     WHERE step.batch_id = which AND step.name = wanted
    RETURNING step.signalled_at IS NOT NULL INTO came;
    INSERT INTO job_batch_slots (batch_id, slot, step, jobs, pending)
    SELECT which, step.slot, wanted, 1, (NOT came)::int
      FROM job_steps AS step WHERE step.batch_id = which AND step.name = wanted;
    RETURN came;
END $$
"""

# Of a signal and a timeout of the same step, the first to have the batch's row decides. What the
# outcome is without a signal is that of a job that is dead.
HEAR = """
CREATE FUNCTION job_step_hear(which uuid, wanted text, heard jsonb, in_time boolean)
RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    begun boolean;
BEGIN
    PERFORM FROM job_batches AS batch
      WHERE batch.id = which AND batch.state = 'running' AND batch.cancelled_at IS NULL
        FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    UPDATE job_steps AS step
       SET signalled_at = CASE WHEN in_time THEN clock_timestamp() END, result = heard
     WHERE step.batch_id = which AND step.name = wanted AND step.kind = 'wait'
       AND step.signalled_at IS NULL AND step.ended IS NULL
       AND (in_time OR step.due_at <= clock_timestamp())
    RETURNING step.started_at IS NOT NULL INTO begun;
    IF begun THEN
        UPDATE job_batch_slots AS part SET pending = 0, dead = (NOT in_time)::int
         WHERE part.batch_id = which AND part.step = wanted;
        PERFORM job_batch_advance(which);
    END IF;
    RETURN begun IS NOT NULL;
END $$
"""

TRIGGERS = (
    f"""
    CREATE TRIGGER job_batch_count AFTER UPDATE OF status, dead_at ON job_executions
    FOR EACH ROW WHEN (NEW.slot IS NOT NULL AND ({WAS}) IS DISTINCT FROM ({IS}))
    EXECUTE FUNCTION job_batch_count()
    """,
    f"""
    CREATE TRIGGER job_batch_count_deleted AFTER DELETE ON job_executions
    FOR EACH ROW WHEN (OLD.slot IS NOT NULL AND ({WAS}) IS NULL)
    EXECUTE FUNCTION job_batch_count()
    """,
)
FUNCTIONS = (
    "job_batch_count()",
    "job_batch_advance(uuid)",
    "job_batch_reopen(uuid)",
    "job_steps_advance(uuid, boolean)",
    "job_step_start(uuid, text, jsonb)",
    "job_step_listen(uuid, text)",
    "job_step_hear(uuid, text, jsonb, boolean)",
)


def upgrade(op: Operations, owner_id: TypeEngine[Any]) -> None:
    for name, kind in ADDED_BEFORE.items():
        op.execute(f"ALTER TABLE job_executions ADD COLUMN IF NOT EXISTS {name} {kind}")
    for name, definition in BUILT_BEFORE.items():
        op.execute(f"CREATE INDEX IF NOT EXISTS {name} ON job_executions {definition}")
    make_batches(op, owner_id)
    make_slots(op)
    make_steps(op)
    for statement in (START, LISTEN, STEPS, ADVANCE, REOPEN, HEAR, COUNT, *TRIGGERS):
        op.execute(statement)


def make_batches(op: Operations, owner_id: TypeEngine[Any]) -> None:
    op.create_table(
        "job_batches",
        sa.Column("id", UUID(as_uuid=False), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("kind", sa.String(20), server_default="batch", nullable=False),
        sa.Column("state", sa.String(20), server_default="running", nullable=False),
        sa.Column("user_id", owner_id),
        sa.Column("organization_id", owner_id),
        sa.Column("created_at", MOMENT, server_default=sa.func.now(), nullable=False),
        sa.Column("ended_at", MOMENT),
        sa.Column("cancelled_at", MOMENT),
        sa.Column("turns", sa.Integer(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_job_batches"),
    )
    op.create_index("idx_job_batches_created_at", "job_batches", [sa.text("created_at DESC"), "id"])


def make_slots(op: Operations) -> None:
    op.create_table(
        "job_batch_slots",
        sa.Column("batch_id", UUID(as_uuid=False), nullable=False),
        sa.Column("slot", sa.Integer(), nullable=False),
        sa.Column("step", sa.String(100)),
        *(sa.Column(name, sa.Integer(), nullable=False) for name in ("jobs", "pending")),
        sa.Column("dead", sa.Integer(), server_default="0", nullable=False),
        sa.Column("cancelled", sa.Integer(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("batch_id", "slot", name="pk_job_batch_slots"),
        whose_batch("job_batch_slots"),
    )
    # Each job of a slot writes a new version of its row: on the same page, where there is room.
    op.execute("ALTER TABLE job_batch_slots SET (fillfactor = 10)")


def make_steps(op: Operations) -> None:
    op.create_table(
        "job_steps",
        sa.Column("batch_id", UUID(as_uuid=False), nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("slot", sa.Integer()),
        sa.Column("after", ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("if_dead", sa.String(20), server_default="stop", nullable=False),
        *(sa.Column(name, JSONB()) for name in ("job", "instead", "match", "result")),
        sa.Column("event", sa.String(255)),
        sa.Column("timeout", sa.Double()),
        *(sa.Column(name, MOMENT) for name in ("started_at", "due_at", "signalled_at")),
        sa.Column("ended", sa.String(20)),
        sa.Column("is_replaced", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("job_id", sa.String(255)),
        sa.PrimaryKeyConstraint("batch_id", "name", name="pk_job_steps"),
        whose_batch("job_steps"),
    )
    for column in ("event", "due_at"):
        op.create_index(
            f"idx_job_steps_{column}",
            "job_steps",
            [column],
            postgresql_where=sa.text(f"{column} IS NOT NULL AND ended IS NULL"),
        )


def whose_batch(table: str) -> sa.ForeignKeyConstraint:
    name = f"fk_{table}_batch_id_job_batches"
    return sa.ForeignKeyConstraint(["batch_id"], ["job_batches.id"], name, ondelete="CASCADE")


def downgrade(op: Operations, owner_id: TypeEngine[Any]) -> None:  # noqa: ARG001 - every revision's arguments
    for trigger in ("job_batch_count", "job_batch_count_deleted"):
        op.execute(f"DROP TRIGGER {trigger} ON job_executions")
    for function in FUNCTIONS:
        op.execute(f"DROP FUNCTION {function}")
    for table in ("job_steps", "job_batch_slots", "job_batches"):
        op.drop_table(table)
    op.execute(f"DROP INDEX {INDEX}")
    for name in ADDED_BEFORE:
        op.execute(f"ALTER TABLE job_executions DROP COLUMN {name}")
