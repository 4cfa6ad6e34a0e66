"""The metrics of processes that serve requests.

Once per process, whatever the number of apps in it: prometheus-client refuses a name twice.
"""

from prometheus_client import Counter, Gauge, Histogram, disable_created_metrics

# One more series for each, which Prometheus does not need.
disable_created_metrics()  # type: ignore[no-untyped-call]  # has no annotations

ENQUEUED = Counter("jobs_enqueued_total", "Jobs enqueued and committed.", ["type"])
FOLLOWUPS = Counter(
    "jobs_followups_enqueued_total",
    "Those of them that the end of others enqueued: steps of workflows, and what follows a batch.",
    ["type"],
)
DELIVERIES = Counter(
    "jobs_deliveries_total",
    "Verified deliveries by what they came to: how the handler ended (completed, continued,"
    " rescheduled, cancelled, lost, failed, dead), or why it was not called (skipped, paused,"
    " expired, refused, busy).",
    ["type", "outcome"],
)
RETRIES = Counter("jobs_retries_total", "Executions after a failed one.", ["type"])
DEAD = Counter("jobs_dead_total", "Jobs that failed for good.", ["type"])
SIGNATURE_FAILURES = Counter(
    "jobs_signature_failures_total",
    "Requests not signed by whom they should be: qstash, or a source of webhooks.",
    ["source"],
)
PUBLISH_FAILURES = Counter(
    "jobs_publish_failures_total",
    "Jobs that QStash did not take: for now (unavailable; a sweep publishes them), or for good"
    " (refused; they are dead).",
    ["type", "reason"],
)
EXECUTION_DURATION = Histogram(
    "jobs_execution_duration_seconds",
    "How long handlers ran.",
    ["type"],
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600),
)
WAITING_TIME = Histogram(
    "jobs_waiting_seconds",
    "From when a job was due to its first execution.",
    ["type"],
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600, 21600),
)
IN_FLIGHT = Gauge(
    "jobs_in_flight", "Handlers that are running.", ["type"], multiprocess_mode="livesum"
)
#: Metrics whose only label is the job type.
BY_TYPE = (ENQUEUED, FOLLOWUPS, RETRIES, DEAD, EXECUTION_DURATION, WAITING_TIME, IN_FLIGHT)

PROCESSES = Gauge(
    "jobs_processes", "Processes that have served requests.", multiprocess_mode="livesum"
)
PROCESSES.set(1)
