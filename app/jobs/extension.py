"""`Jobs`: what binds the extension to an app."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar, Unpack

from flask import Flask, current_app, has_app_context

from . import csrf, discovery, log_fields, request_id, settings
from .batches import builder, signals
from .batches import workflow as workflows
from .cli import jobs as commands
from .enqueue import enqueuer, many, scheduling, signatures
from .errors import DiscoveryError, JobsNotInitialised
from .events import Observer
from .execute import delivery, last_guard, session, unrouted
from .external_types import ExternalType
from .job_options import ExternalOptions
from .middleware import Middleware, check
from .migrations import autogenerate
from .operate import pauses, queries, status_link
from .payload import sealing
from .periodic import periodic
from .publish.background import BackgroundPublisher
from .publish.outbox import Notes
from .publish.qstash import Publisher
from .recover import routes, sweep_timer
from .registry import JobRegistry, get_job_config, registry_of
from .schemas import PayloadSchema
from .table import db as database
from .table.after_commit import after_commit
from .table.job_rows import get_job_execution_by_job_id
from .values.ids import JobIdConverter
from .values.options import FlowControl

if TYPE_CHECKING:
    from flask_sqlalchemy import SQLAlchemy

P = TypeVar("P")


@dataclass(frozen=True, slots=True)
class State:
    """The state of one app's extension."""

    registry: JobRegistry
    publisher: Publisher
    background: BackgroundPublisher | None
    notes: Notes
    families: str | None
    middleware: tuple[Middleware, ...] = ()
    observers: list[Observer] = field(default_factory=list)


class Jobs:
    """Background jobs over QStash. Keeps no app's state on itself, so it serves several apps."""

    def __init__(
        self,
        app: Flask | None = None,
        db: "SQLAlchemy | None" = None,
        *,
        families: str | None = None,
        middleware: Sequence[Middleware] = (),
    ) -> None:
        self._external: list[ExternalType[Any]] = []
        if app is not None:
            self.init_app(app, db, families=families, middleware=middleware)

    enqueue = staticmethod(enqueuer.enqueue)
    enqueue_many = staticmethod(many.enqueue_many)
    schedule = staticmethod(scheduling.schedule)
    signature = staticmethod(signatures.signature)
    batch = staticmethod(builder.batch)
    batch_of = staticmethod(builder.batch_of)
    workflow = staticmethod(workflows.workflow)
    workflow_of = staticmethod(workflows.workflow_of)
    chain = staticmethod(workflows.chain)
    signal = staticmethod(signals.signal)
    pause = staticmethod(pauses.pause)
    resume = staticmethod(pauses.resume)
    paused = staticmethod(pauses.paused)
    periodic = staticmethod(periodic)
    after_commit = staticmethod(after_commit)
    signed = staticmethod(delivery.signed)
    is_qstash_endpoint = staticmethod(delivery.is_qstash_endpoint)
    get_job_config = staticmethod(get_job_config)
    get_job_execution_by_job_id = staticmethod(get_job_execution_by_job_id)
    create_job_execution = staticmethod(queries.create_job_execution)
    update_job_execution = staticmethod(queries.update_job_execution)
    status_url = staticmethod(status_link.status_url)
    batch_status_url = staticmethod(status_link.batch_status_url)
    register_links = staticmethod(status_link.register_links)
    register_viewer = staticmethod(status_link.register_viewer)
    register_batch_viewer = staticmethod(status_link.register_batch_viewer)

    def external(
        self,
        job_type: str,
        *,
        schema: type[PayloadSchema[P]],
        url: str | None = None,
        flow_control: FlowControl | None = None,
        **options: Unpack[ExternalOptions],
    ) -> ExternalType[P]:
        """Declare a job type whose worker is elsewhere; QStash's callbacks tell how its jobs end.

        In a module of a family, all apps have it; within the context of an app, that app alone.

        Args:
            job_type: The name on the wire.
            schema: What its payload must be.
            url: Where its worker takes QStash's deliveries.
            flow_control: As for `JobBlueprint.job`.
            **options: See `ExternalOptions`.

        Raises:
            DiscoveryError: No good URL, or a name that is taken.
        """
        made = ExternalType(job_type, url, schema, flow_control, options)
        if has_app_context() and "jobs" in current_app.extensions:
            registry_of(current_app).add(made.new_config())
        else:
            self._external.append(made)
        return made

    def init_app(
        self,
        app: Flask,
        db: "SQLAlchemy | None" = None,
        *,
        families: str | None = None,
        middleware: Sequence[Middleware] = (),
    ) -> None:
        """Bind to an app.

        Reads from `app.config`, and from the environment what is not there; a time is seconds, a
        timedelta or a text such as "5m":
            SECRET_KEY: Signs the links of `status_url`.
            BASE_URL: Where QStash reaches this app, without a slash at the end.
            QSTASH_URL, QSTASH_TOKEN: QStash's API.
            QSTASH_CURRENT_SIGNING_KEY, QSTASH_NEXT_SIGNING_KEY: What deliveries are signed with.
            JOBS_PUBLISH: "inline" in the caller's thread, or "background" in one that batches.
            JOBS_NAMESPACE: Begins the names of the app's queues, flow-control keys and schedules
                at QStash; by default made of BASE_URL.
            JOBS_GRACE: The time that running jobs and waiting publishes get at a stop.
            JOBS_PUBLISH_TIMEOUT: The time that one publish may take in all.
            JOBS_MAX_BODY: Bytes that a delivery may have; what is larger is not enqueued.
            JOBS_MAX_RESCHEDULES: How often `RetryLater` may put one job off.
            JOBS_MAX_LEGS: How many deliveries one job may take by `Continue`.
            JOBS_SIGNATURE_LEEWAY: By how much QStash's clock may differ from ours.
            JOBS_SWEEP_EVERY: The time between sweeps by the app's processes, while there is traffic
                or a job waits for one; 0 is none.
            JOBS_SWEEP_CRON: When QStash asks for a sweep besides.
            JOBS_PLAN_MESSAGES_PER_DAY, JOBS_PLAN_PRICE: What QStash's plan has, for `flask jobs
                usage`: messages a day, and the price of 100,000; 0 is not said.
            JOBS_ENCRYPTION_KEYS: Fernet keys for sealed fields, newest first, commas between.
            JOBS_SEAL: "false" where no field is sealed, as a worker elsewhere could not open it.
            JOBS_UNSEALED: Job types of which no field is, commas between.
            JOBS_BIND_KEY: Which of SQLALCHEMY_BINDS has the tables of jobs; by default the app's
                own database. In another, a handler's work and its job's completion commit one
                after the other.
            JOBS_SCHEMA: The schema that has the tables of jobs; by default the first one of the
                search_path.
            JOBS_ID_TYPE: What ids of users and organizations are: "integer", "text" or "uuid".
            JOBS_CALLBACK_ALLOW: Private hosts and networks that callback URLs may name, commas
                between.
            JOBS_LOG_FIELDS: Whether log lines end with their fields, such as the job's id; "false"
                where a formatter shows what is `extra`.
            JOBS_QUIET: Whether commands print no log lines of what goes well.
            JOBS_RETENTION: For how long jobs are kept that have ended, by how, such as
                "completed=7d,dead=90d"; see `FinishedJobs.due`.
            JOBS_KEEP_LOGS: Whether what a handler logs is kept with its attempt.
            JOBS_HEALTH_FAILURE_RATE, JOBS_HEALTH_UNHEALTHY_RATE: Above which part of the last
                hour's jobs failing they are degraded, or unhealthy.
            JOBS_HEALTH_PROCESSING, JOBS_HEALTH_OVERDUE, JOBS_HEALTH_IDLE: The time after which a
                job is stuck, or overdue, and all are unhealthy; see `snapshot`.
            JOBS_METRICS_TOKEN, JOBS_METRICS_OPEN: Who may scrape; see `metrics.init_app`.
            JOBS_DASHBOARD, JOBS_DASHBOARD_PREFIX, JOBS_DASHBOARD_NAME, JOBS_DASHBOARD_COLOUR,
                JOBS_DASHBOARD_TIMEZONE: See `dashboard`.

        Args:
            app: The app.
            db: The app's Flask-SQLAlchemy, which `db.init_app(app)` bound to it before.
            families: A package whose subpackages are job families, such as "app.families".
            middleware: Functions `(payload, job, proceed)` that wrap each handler of the app, the
                first outermost.

        Raises:
            JobsNotInitialised: A required key is missing, also one to seal with where a job type
                has sealed fields; or the app has the extension already, or no database yet.
            DiscoveryError: A family is broken, or a middleware could not be called.
        """
        if not isinstance(app, Flask):
            raise JobsNotInitialised(
                f"Jobs: the first argument must be the Flask app, and is a {type(app).__name__}: "
                "write `Jobs(app, db)`"
            )
        if "jobs" in app.extensions:
            raise JobsNotInitialised("this app already has a jobs extension: call init_app once")
        wraps = _checked(middleware)
        settings.init_app(app)
        log_fields.init_app(is_wanted=app.config["JOBS_LOG_FIELDS"])
        database.init_app(app, db)
        app.url_map.converters["job_id"] = JobIdConverter
        app.extensions["jobs"] = State(
            JobRegistry(),
            new_publisher(app.config),
            _background(app),
            Notes(app),
            families,
            wraps,
        )
        for part in (session, last_guard, request_id, unrouted, csrf):
            part.init_app(app)
        app.cli.add_command(commands)
        autogenerate.init_app(app)
        app.register_blueprint(routes.bp)
        app.register_blueprint(status_link.bp)
        sweep_timer.init_app(app)
        if families is not None:
            discovery.discover(app, families)
        for declared in self._external:
            registry_of(app).add(declared.new_config())
        sealing.check_switches(app)


def forget_connections(app: Flask) -> None:
    """Have this process open connections of its own, as after a fork it must.

    Those that it has were its parent's, which goes on using them.
    """
    with app.app_context():
        for engine in app.extensions["sqlalchemy"].engines.values():
            engine.dispose(close=False)
    app.extensions["jobs"].publisher.forget_client()


def _checked(given: Sequence[Middleware]) -> tuple[Middleware, ...]:
    try:
        return check("middleware", given)
    except ValueError as error:
        raise DiscoveryError(f"Jobs: {error}") from None


def new_publisher(config: dict[str, Any]) -> Publisher:
    return Publisher(
        url=config["QSTASH_URL"],
        token=config["QSTASH_TOKEN"],
        base_url=config["BASE_URL"],
        budget=config["JOBS_PUBLISH_TIMEOUT"],
        namespace=config["JOBS_NAMESPACE"],
    )


def _background(app: Flask) -> BackgroundPublisher | None:
    if app.config["JOBS_PUBLISH"] != "background":
        return None
    return BackgroundPublisher(app, grace=app.config["JOBS_GRACE"])
