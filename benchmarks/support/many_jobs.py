"""A table of very many jobs: each 100,000 of them like the others, but older."""

import time

import psycopg
from psycopg.rows import scalar_row

FEW = 100_000
JOBS_PER_HOUR = 5_000

# Most jobs are completed, some failed for good; only among the newest are such that wait or run.
# Few users and organizations own most jobs. Errors repeat, but for one in a hundred thousand. Some
# have a queue, a key, or a tag: a common one, and one that a single job in a hundred thousand has.
FILL = """
    INSERT INTO job_executions (
        job_id, job_type, status, payload, result, error, retry_count, user_id, organization_id,
        created_at, published_at, started_at, completed_at, updated_at, dead_at, cancelled_at,
        message_id, schedule_id, max_retries, options, lease_token, lease_expires_at, attempts,
        queue, idempotency_key, tags)
    SELECT job_id, job_type, status,
           format('{"jobId": "%%s", "type": "%%s", "payload": {"to": "user%%s@example.com",
                    "template": "welcome", "data": {"recipientName": "User %%s"}},
                    "metadata": {"userId": %%s, "createdAt": "%%s"}}',
                  job_id, job_type, whose, whose, whose, created_at)::jsonb,
           CASE status WHEN 'completed' THEN '{"id": "re_123456789"}'::jsonb END,
           CASE WHEN status <> 'failed' THEN NULL
                WHEN i %% 100000 = 4711 THEN 'OperationalError: deadlock detected, process 4711'
                ELSE (ARRAY['ResendError: rate limit exceeded', 'JobTimeout: took over 30 s',
                            'ConnectionError: connection reset by peer',
                            'ValueError: no such template'])[1 + i %% 4] END,
           CASE status WHEN 'failed' THEN 3 ELSE 0 END,
           CASE WHEN i %% 3 > 0 THEN whose END, CASE WHEN i %% 3 > 0 THEN 1 + whose / 20 END,
           created_at, created_at, started, ended, coalesce(ended, started, created_at),
           CASE WHEN status = 'failed' AND NOT recent THEN ended END,
           CASE WHEN status = 'cancelled' THEN ended END,
           'msg_' || md5(i::text) || md5((-i)::text),
           CASE WHEN job_type = 'cleanup-old-data' THEN 'code.cleanup-old-data' END,
           3, '{"retries": 3, "timeout": 30}'::jsonb,
           CASE status WHEN 'processing' THEN job_id END,
           CASE status WHEN 'processing' THEN now() + interval '1 day' END,
           CASE WHEN started IS NULL THEN '[]'::jsonb
                ELSE format('[{"number": 1, "outcome": "%%s", "started_at": "%%s",
                               "duration_ms": 120, "answer": 200, "host": "web-1"}]',
                            status, started)::jsonb END,
           CASE WHEN i %% 10 = 0 THEN 'mail' END,
           CASE WHEN i %% 50 = 0 THEN 'order-' || i END,
           CASE WHEN i %% 100000 = 4711 THEN ARRAY['billing', 'rare']
                WHEN i %% 20 = 0 THEN ARRAY['billing'] END
      FROM (SELECT *, CASE WHEN status <> 'pending' THEN created_at + interval '1 s' * luck END
                      AS started,
                      CASE WHEN status NOT IN ('pending', 'processing')
                           THEN created_at + interval '1 s' * (luck + 5 * luck * luck) END AS ended
              FROM (SELECT *, CASE WHEN recent AND luck < 0.2 THEN 'pending'
                                   WHEN recent AND luck < 0.3 THEN 'processing'
                                   WHEN luck < 0.94 THEN 'completed'
                                   WHEN luck < 0.99 THEN 'failed' ELSE 'cancelled' END AS status
                      FROM (SELECT i, gen_random_uuid() AS job_id, random() AS luck,
                                   1 + floor(power(random(), 3) * 100000)::bigint AS whose,
                                   (ARRAY['send-email', 'send-email', 'send-email',
                                          'process-webhook', 'process-stripe-webhook',
                                          'export-data', 'generate-report', 'cleanup-old-data'])
                                       [1 + floor(random() * 8)::int] AS job_type,
                                   %(total)s - i < 100 AS recent,
                                   now() - make_interval(secs => (%(total)s - i) * %(gap)s)
                                   AS created_at
                              FROM generate_series(%(first)s::bigint, %(last)s::bigint) AS i
                      ) AS jobs) AS states) AS times
"""
AUDIT = """
    INSERT INTO job_audit (actor, action, filter, job_count, job_ids)
    SELECT 'ann', 'retry', '{}', 1, jsonb_build_array(job_id)
      FROM job_executions WHERE id % 5000 = 0
"""
TIMES = (
    "created_at",
    "published_at",
    "started_at",
    "completed_at",
    "updated_at",
    "dead_at",
    "cancelled_at",
)
INDEXES = """
    SELECT indexname || ' ' || indexdef FROM pg_indexes JOIN pg_class ON relname = indexname
     WHERE tablename = 'job_executions'
       AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = pg_class.oid)
"""
SIZE = """
    SELECT pg_size_pretty(pg_table_size('job_executions')) || ' and indexes of '
           || pg_size_pretty(pg_indexes_size('job_executions'))
"""
UNIQUE = "ALTER TABLE job_executions {} CONSTRAINT uq_job_executions_job_id {}"


def fill(url: str, rows: int, per_hour: int = JOBS_PER_HOUR) -> None:
    """Insert the jobs without indexes, then build these as the migrations left them.

    Args:
        url: Of the database, for psycopg.
        rows: A multiple of 100,000.
        per_hour: How many were recorded in an hour; the fewer, the older is the oldest.
    """
    start = time.monotonic()
    with psycopg.connect(url, autocommit=True, row_factory=scalar_row) as connection:
        connection.execute("SET synchronous_commit = off; SET maintenance_work_mem = '1GB'")
        indexes = [each.split(" ", 1) for each in connection.execute(INDEXES)]
        for name, _ in indexes:
            connection.execute(f"DROP INDEX {name}".encode())
        connection.execute(UNIQUE.format("DROP", "").encode())
        _fill(connection, rows, 3600 / per_hour)
        print(f"{rows:,} jobs: filled in {time.monotonic() - start:.0f} s", flush=True)
        connection.execute(UNIQUE.format("ADD", "UNIQUE (job_id)").encode())
        for number, (name, definition) in enumerate(indexes, start=1):
            connection.execute(definition.encode())
            print(f"  index {number} of {len(indexes)}: {name}", flush=True)
        connection.execute(AUDIT.encode())
        connection.execute("VACUUM ANALYZE job_executions")
        connection.execute("CHECKPOINT")
        took = time.monotonic() - start
        print(f"  {connection.execute(SIZE).fetchone()}, after {took:.0f} s", flush=True)


def _fill(connection: psycopg.Connection[str], rows: int, gap: float) -> None:
    given = {"first": 1, "last": FEW, "total": FEW + 1000, "gap": gap}
    connection.execute(FILL.encode(), given)
    connection.execute("CREATE TEMP TABLE template AS TABLE job_executions")
    connection.execute("TRUNCATE job_executions RESTART IDENTITY")
    others = connection.execute(
        "SELECT attname::text FROM pg_attribute WHERE attrelid = 'job_executions'::regclass"
        " AND attnum > 0 AND attname <> ALL(%s)",
        [["id", "job_id", "message_id", "idempotency_key", *TIMES]],
    ).fetchall()
    older = ", ".join(f"{name} - make_interval(secs => %(age)s)" for name in TIMES)
    copy = f"""
        INSERT INTO job_executions
               (job_id, message_id, idempotency_key, {", ".join([*others, *TIMES])})
        SELECT gen_random_uuid(), 'msg_' || md5(random()::text),
               idempotency_key || '-' || %(number)s, {", ".join(others)}, {older}
          FROM template ORDER BY id
    """  # noqa: S608 - the columns' names are PostgreSQL's own
    for number in range(rows // FEW - 1, 0, -1):
        connection.execute(copy.encode(), {"age": number * FEW * gap, "number": number})
        if number % 10 == 0:
            print(f"  {rows - number * FEW:,} of {rows:,}", flush=True)
    connection.execute(FILL.encode(), {**given, "total": FEW})
