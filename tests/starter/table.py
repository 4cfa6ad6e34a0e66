"""The table as the TypeScript starter's migrations make it."""

TABLE = """
CREATE TABLE "job_executions" (
    "id" serial PRIMARY KEY NOT NULL,
    "job_id" varchar(255) NOT NULL,
    "job_type" varchar(100) NOT NULL,
    "status" varchar(50) NOT NULL,
    "payload" jsonb NOT NULL,
    "result" jsonb,
    "error" text,
    "retry_count" integer DEFAULT 0 NOT NULL,
    "user_id" integer,
    "organization_id" integer,
    "started_at" timestamp,
    "completed_at" timestamp,
    "created_at" timestamp DEFAULT now() NOT NULL,
    "updated_at" timestamp DEFAULT now() NOT NULL,
    CONSTRAINT "job_executions_job_id_unique" UNIQUE("job_id")
);
CREATE INDEX "idx_job_executions_status" ON "job_executions" USING btree ("status");
CREATE INDEX "idx_job_executions_created_at"
    ON "job_executions" USING btree ("created_at" DESC NULLS LAST);
CREATE INDEX "idx_job_executions_user_id" ON "job_executions" USING btree ("user_id");
CREATE INDEX "idx_job_executions_organization_id"
    ON "job_executions" USING btree ("organization_id");
CREATE INDEX "idx_job_executions_status_created"
    ON "job_executions" USING btree ("status", "created_at" DESC NULLS LAST);
"""

ROWS = """
INSERT INTO job_executions (job_id, job_type, status, payload, result, error, retry_count, user_id,
                            organization_id, started_at, completed_at, created_at, updated_at)
VALUES
 ('4f1c2d7e-0b5a-4c3e-9d68-1a2b3c4d5e6f', 'send-email', 'completed',
  '{"jobId": "4f1c2d7e-0b5a-4c3e-9d68-1a2b3c4d5e6f", "type": "send-email",
    "payload": {"template": "welcome", "to": "ann@example.com", "data": {}},
    "metadata": {"userId": 1, "createdAt": "2025-03-30T01:30:00.000Z"}}',
  '{"messageId": "re_1"}', NULL, 0, 1, 2,
  '2025-03-30 01:30:01.123456', '2025-03-30 02:30:02', '2025-03-30 01:30:00',
  '2025-03-30 02:30:02'),
 ('job_01J9Z', 'export-data', 'failed', '{"payload": {}}', NULL, 'Error: it is "full" \\ ü',
  3, NULL, 2147483647, '2025-01-01 00:00:00', NULL, '2024-12-31 23:59:59.999999', '2025-01-01'),
 ('test-job-id', 'generate-report', 'pending', '{"payload": {}}', NULL, NULL, 0, NULL, NULL,
  NULL, NULL, localtimestamp, localtimestamp),
 ('now-failed', 'generate-report', 'failed', '{"payload": {}}', NULL, 'Error', 1, NULL, NULL,
  NULL, NULL, localtimestamp, localtimestamp),
 ('running', 'cleanup-old-data', 'processing', '{"payload": {}}', NULL, NULL, 0, -5, 0,
  localtimestamp, NULL, localtimestamp, localtimestamp);
"""
