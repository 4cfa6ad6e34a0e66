"""A workflow: steps that begin when those before them have ended; a chain is one in a line.

It is a batch whose jobs are recorded one after the other, each in the transaction that ends the
last of those before it: see `table.workflows`.
"""

from collections.abc import Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from random import randrange
from typing import Any
from uuid import uuid4

from sqlalchemy import Connection

from ..context import Job
from ..durations import LONGEST_DELAY
from ..enqueue.signatures import Signature, Written
from ..enqueue.terms import Owner
from ..errors import BatchRefused, quoted
from ..message import Message
from ..table import batch_summaries, batches, workflows
from ..table.batches import WORKFLOW
from ..table.db import connection_of, db
from ..table.sessions import AnySession
from ..table.workflows import GO_ON, REPLACE, STOP, Step
from ..values import jsonb
from ..values.ids import GivenOwnerId
from ..values.nearest import hint
from ..values.options import Duration, parse_duration
from .recorded import (
    FIRST_DRAWN,
    LAST_DRAWN,
    LONGEST_NAME,
    ON_FAILURE,
    THEN,
    Recorded,
    check_job,
    check_text,
)

MOST_STEPS = 1_000
LONGEST_STEP_NAME = 100
LONGEST_EVENT = 255
LARGEST_MATCH = 8 * 1024


class Workflow(Recorded):
    """What `workflow` and `workflow_of` return; `add` and `wait_for` add steps in its block."""

    noun = "workflow"

    def __init__(self, *about: Any, **more: Any) -> None:
        super().__init__(*about, **more)
        self._steps: dict[str, Step] = {}
        self._first = 0 if self._added_by is None else randrange(FIRST_DRAWN, LAST_DRAWN)  # noqa: S311 - no secret

    def add(
        self,
        name: str,
        signature: Signature,
        *,
        after: Sequence[str] = (),
        if_dead: str | Signature = STOP,
    ) -> str:
        """Add a step whose job is recorded when those in `after` have completed; return its name.

        Args:
            name: By which other steps name it; also finds its result, as `job.results[name]`.
            signature: Its job.
            after: Names of steps, also of such as are added later; without any it begins at once.
            if_dead: If one of these did not complete, as it is dead, cancelled or skipped: "stop"
                skips this step; "go on" begins it all the same; a signature is the job that runs
                in its place, to make good what was done.

        Raises:
            UnknownJobType, InvalidPayload, InvalidOption: As `jobs.enqueue` does.
            BatchRefused: The name is none or taken, or there are too many steps.
        """
        job, instead = self._written(signature), None
        if isinstance(if_dead, Signature):
            instead, if_dead = self._written(if_dead), REPLACE
        elif if_dead not in (STOP, GO_ON):
            raise BatchRefused(
                f"if_dead: {quoted(if_dead)} is neither 'stop' nor 'go on' nor a signature"
            )
        self._keep(name, after, if_dead=if_dead, job=job, instead=instead)
        return name

    def wait_for(
        self,
        event: str,
        *,
        match: Mapping[str, Any] | None = None,
        timeout: Duration,
        after: Sequence[str] = (),
        name: str | None = None,
        if_dead: str = STOP,
    ) -> str:
        """Add a step that a signal completes, also one that came before it began; return its name.

        Args:
            event: What `jobs.signal` is given.
            match: What the signal's data must have, at every level, such as `{"invoice": 7}`.
            timeout: How long it waits once it has begun. After that it has not completed, and what
                is to come then follows by the `if_dead` of the steps after it.
            after: As for `add`.
            name: As for `add`; by default the event.
            if_dead: "stop" or "go on", as for `add`.

        Raises:
            InvalidOption: `timeout` is no time, or none that ends.
            BatchRefused: The event or `match` is none, or as for `add`.
        """
        check_text("event", event, LONGEST_EVENT)
        if if_dead not in (STOP, GO_ON):
            raise BatchRefused(
                f"if_dead: {quoted(if_dead)} is neither 'stop' nor 'go on': give a step after this "
                "one the signature of what is to run in its place"
            )
        seconds = parse_duration("timeout", timeout)
        if not 0 < seconds <= LONGEST_DELAY:
            raise BatchRefused(
                f"timeout: {timeout!r} is not above zero, or more than a year: write '3d'"
            )
        named = name if name is not None else event[:LONGEST_STEP_NAME]
        wanted = check_data("match", {} if match is None else match)
        self._keep(named, after, if_dead=if_dead, event=event, match=wanted, timeout=seconds)
        return named

    def _written(self, signature: Signature) -> tuple[Message, dict[str, Any]]:
        made: Written = self._writer.write_own(signature)
        return made.message, made.columns

    def _keep(self, name: Any, after: Any, **about: Any) -> None:
        self._check_open()
        check_text("name", name, LONGEST_STEP_NAME)
        if name in {*self._steps, THEN, ON_FAILURE}:
            raise BatchRefused(f"{self} has a step {name!r} already: give this one another name")
        is_list = isinstance(after, list | tuple | set | frozenset)
        if not (is_list and all(isinstance(one, str) for one in after)):
            raise BatchRefused(
                f"after: {quoted(after)} is not a list of steps' names: write ['first']"
            )
        if len(self._steps) == MOST_STEPS:
            raise BatchRefused(self._too_many())
        slot = self._first + len(self._steps)
        self._steps[name] = Step(name=name, slot=slot, after=list(dict.fromkeys(after)), **about)

    def _too_many(self) -> str:
        return (
            f"{self} would have more than {MOST_STEPS:,} steps: have a step add its jobs by "
            "`jobs.batch_of(job)`, which the steps after it wait for"
        )

    @property
    def _messages(self) -> list[Message]:
        return []

    def _insert(self, tx: Connection) -> None:
        there: list[str] = []
        if self._added_by is not None:
            self._check_running(tx)
            there = workflows.names(tx, self.id)
        self._check_graph(there)
        if self._added_by is None:
            self._insert_new(tx, kind=WORKFLOW)
        if self._steps:
            workflows.record_steps(tx, self.id, [*self._steps.values()])
        if self._added_by is None:
            batches.advance(tx, self.id)

    def _check_graph(self, there: Sequence[str]) -> None:
        """Refuse what could never begin, or is too large.

        Args:
            there: The steps that it has already.
        """
        if len(there) + len(self._steps) > MOST_STEPS:
            raise BatchRefused(self._too_many())
        if taken := sorted(self._steps.keys() & set(there)):
            raise BatchRefused(f"{self} has a step {taken[0]!r} already: give it another name")
        known = [*there, *self._steps]
        for step in self._steps.values():
            for name in step.after:
                if name not in known:
                    raise BatchRefused(
                        f"the step {step.name!r} is after {name!r}, which {self} has not; "
                        f"{hint(name, sorted(known))}"
                    )
        try:
            TopologicalSorter({step.name: step.after for step in self._steps.values()}).prepare()
        except CycleError as error:
            way = " > ".join(map(str, error.args[1]))
            raise BatchRefused(
                f"the steps of {self} wait for each other ({way}): leave one out of an `after`"
            ) from None


def workflow(
    name: str,
    *,
    then: Signature | None = None,
    on_failure: Signature | None = None,
    user_id: GivenOwnerId | None = None,
    organization_id: GivenOwnerId | None = None,
    session: AnySession | None = None,
) -> Workflow:
    """Return a workflow to be filled in a `with` block, at whose end it is recorded and begins.

        with jobs.workflow("thumbnails") as wf:
            wf.add("fetch", fetch.s(Picture(url)))
            wf.add("resize", resize.s(Sizes((64, 256))), after=["fetch"])

    Args and errors are those of `batch`; it is checked as a whole before anything is recorded.

    Raises:
        BatchRefused: At the end of the block: a step is after one that there is not, or steps wait
            for each other; and as for `batch`.
    """
    check_text("name", name, LONGEST_NAME)
    owner = Owner(user_id=user_id, organization_id=organization_id)
    made = Workflow(str(uuid4()), name, owner, session)
    made.follow(THEN, then)
    made.follow(ON_FAILURE, on_failure)
    return made


def workflow_of(job: Job) -> Workflow:
    """Return the workflow that a running step's job is of, to add steps to in a `with` block.

    They are recorded in `db.session`, and begin at the earliest when the job has completed. They
    may be after any step that is there, this job's own among them.

    Raises:
        BatchRefused: The job is of no workflow, or is none.
    """
    check_job("workflow_of", job)
    tx = connection_of(db.session) if job.batch_id is not None else None
    found = batch_summaries.find(tx, job.batch_id) if tx is not None and job.batch_id else None
    if found is None or found.kind != WORKFLOW:
        raise BatchRefused(f"job {job.id} is of no workflow: only the job of a step adds steps")
    owner = Owner(user_id=job.user_id, organization_id=job.organization_id)
    return Workflow(found.id, found.name, owner, db.session, added_by=job.id)


def chain(*signatures: Signature, name: str | None = None, **options: Any) -> Workflow:
    """Record jobs of which each begins when the one before it has completed; return the workflow.

    Each finds the results of those before it in `job.results`, by their job types; from the second
    of a type on, with a number behind it: "fetch", "fetch 2".

    Args:
        *signatures: At least one.
        name: What people see; by default the job types.
        **options: As for `workflow`.

    Raises:
        BatchRefused: There is no job.
        UnknownJobType, InvalidPayload, InvalidOption: As for `workflow`.
    """
    if not signatures:
        raise BatchRefused("a chain has at least one job: write jobs.chain(first.s(…), next.s(…))")
    types = [str(getattr(one, "job_type", "?")) for one in signatures]
    made = workflow(name if name is not None else " > ".join(types)[:200], **options)
    with made:
        before: list[str] = []
        for number, signature in enumerate(signatures):
            nth = types[: number + 1].count(types[number])
            step = types[number] if nth == 1 else f"{types[number]} {nth}"
            before = [made.add(step, signature, after=before)]
    return made


def check_data(what: str, data: Any) -> Mapping[str, Any]:
    """Return a signal's data, or what one must have, if JSON can hold it and it is not large.

    Raises:
        BatchRefused: It is none.
    """
    if not isinstance(data, Mapping):
        raise BatchRefused(f"{what}: {quoted(data)} is not a dict")
    try:
        written = jsonb.dumps(dict(data))
    except (TypeError, ValueError) as error:
        raise BatchRefused(f"{what}: not JSON: {error}") from None
    if len(written) > LARGEST_MATCH:
        raise BatchRefused(
            f"{what}: has {len(written):,} bytes, and may have {LARGEST_MATCH:,}: store what is "
            "large, and give where it is"
        )
    return data
