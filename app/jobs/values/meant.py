"""What other job systems call the options that ours has."""

_RETRIES, _WAIT = "retries", "retry_delay"
_LIMITS = "flow_control=FlowControl(…)"
_PERIODIC = "`@periodic(cron, payload)` above `@bp.job`"
_KEY_OPTION = "idempotency_key, an argument of `enqueue`"
_OF_SCHEDULE = "%s, an argument of `schedule` and `@periodic`"
#: Ours by their names, in lower case.
MEANT = {
    **dict.fromkeys(("max_retry", "max_retries", "attempts", "max_attempts", "tries"), _RETRIES),
    **dict.fromkeys(("backoff", "retry_backoff", "default_retry_delay", "retry_after"), _WAIT),
    **dict.fromkeys(("time_limit", "soft_time_limit", "job_timeout", "max_runtime"), "timeout"),
    **dict.fromkeys(("countdown", "wait", "schedule_in", "defer_by"), "delay"),
    **dict.fromkeys(("eta", "at", "run_at", "scheduled_at", "schedule_at"), "not_before"),
    **dict.fromkeys(("schedule", "cron", "crontab", "every", "periodic", "interval"), _PERIODIC),
    **dict.fromkeys(("rate", "rate_limit", "concurrency", "parallelism"), _LIMITS),
    **dict.fromkeys(("queue_name", "priority"), "queue"),
    **dict.fromkeys(("expiry", "ttl", "deadline", "expires_in", "expires_at"), "expires"),
    **dict.fromkeys(("tenant_id", "org_id"), "organization_id"),
    **dict.fromkeys(("unique_key", "deduplication_id", "dedup_id"), _KEY_OPTION),
    "idempotency_key": _KEY_OPTION,
    **dict.fromkeys(("overlap", "max_instances", "concurrency_policy"), _OF_SCHEDULE % "overlap"),
    **dict.fromkeys(("catchup", "catch_up", "coalesce", "backfill"), _OF_SCHEDULE % "catch_up"),
    **dict.fromkeys(("jitter", "splay"), _OF_SCHEDULE % "jitter"),
}
