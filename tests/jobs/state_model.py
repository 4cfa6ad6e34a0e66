"""What must become of a job, in plain Python: the table of transitions, event by event.

And of the batch whose last job it is.
"""

from dataclasses import dataclass, field
from typing import Any

KEPT = 20
MAX_RESCHEDULES = 2
MAX_LEGS = 3
#: Of the scripted job type, and of a row that does not know its own.
RETRIES, DEFAULT_RETRIES = 1, 3
FINAL = {"completed", "cancelled"}


@dataclass
class Model:
    """One job. Each event returns the status that it must be answered with.

    Attributes:
        lease: The number of the attempt that holds it.
        tried: The messages of the attempts that are kept.
        effects: How often a handler's work was committed.
        paused: Its type is.
        held: It came into the outbox while that was so.
        spent: The messages that brought it back there.
        followed: What its batch's ends so far have enqueued: `note_end` is told of each.
    """

    job_id: str
    status: str = "pending"
    dead: bool = False
    cancelled: bool = False
    retried: int = 0
    max_retries: int | None = RETRIES
    generation: int = 0
    legs: int = 0
    reschedules: int = 0
    effects: int = 0
    message: str | None = None
    published: bool = False
    lease: int | None = None
    alive: bool = False
    claims: int = 0
    outcomes: list[str] = field(default_factory=list)
    at_legs: list[int] = field(default_factory=list)
    tried: list[str | None] = field(default_factory=list)
    paused: bool = False
    held: bool = False
    spent: set[str] = field(default_factory=set)
    followed: set[str] = field(default_factory=set)

    @property
    def batch_state(self) -> str:
        return "failed" if self.dead else self.status if self.is_over else "running"

    def note_end(self) -> None:
        """Have what follows the batch's end be enqueued, unless it was before."""
        follows = {"completed": {"then"}, "failed": {"on_failure"}}
        self.followed |= follows.get(self.batch_state, set())

    @property
    def is_over(self) -> bool:
        return self.dead or self.status in FINAL

    @property
    def state(self) -> dict[str, Any]:
        """What the row must say."""
        return {
            "status": self.status,
            "dead": self.dead,
            "completed_at": self.is_over,
            "cancelled_at": self.cancelled,
            "retried": self.retried,
            "max_retries": self.max_retries,
            "generation": self.generation,
            "legs": self.legs,
            "reschedules": self.reschedules,
            "message": self.message,
            "published": self.published,
            "leased": self.lease is not None,
            "held": self.held and self._is_in_outbox,
        }

    @property
    def current_message(self) -> str:
        """The message that the job waits for, or what QStash will call it."""
        return self.message or f"msg_{self.job_id}-{self.generation}-{self.legs}-{self.reschedules}"

    def publish(self) -> None:
        self.message, self.published, self.held = self.current_message, True, False

    def publish_unless_held(self, *, qstash_is_up: bool) -> None:
        """Come into the outbox, and leave it at once if nothing is in the way."""
        self.held = self.paused
        if qstash_is_up and not self.held:
            self.publish()

    def pause(self) -> None:
        self.paused = True
        self.held |= self._is_in_outbox and self.max_retries is not None

    def resume(self, *, qstash_is_up: bool) -> None:
        self.paused = False
        if self.held and self._is_in_outbox:
            self.publish_unless_held(qstash_is_up=qstash_is_up)

    def claim(self, message: str, retried: int) -> int | None:
        """Return the attempt's lease, or None where nothing must be executed."""
        if self.paused or not self._may_claim(message):
            return None
        if self.status == "processing":
            self._keep("lost", self.message)
        self.status, self.dead = "processing", False
        self.claims += 1
        self.lease, self.alive = self.claims, True
        self.message, self.published = message, True
        self.retried = retried if self.max_retries is None else min(retried, self.max_retries)
        return self.lease

    def refusal(self, message: str, retried: int, *, qstash_is_up: bool) -> int:
        """Answer a delivery that executes nothing; the end of a leg has the next one published."""
        if self.paused and self._may_claim(message):
            self._put_back(message)
            return 200
        if self.is_over:
            return 200
        if not self._is_done(message):
            return 503
        if self._is_in_outbox and not self.held:
            if not qstash_is_up:
                return 503 if retried < RETRIES else 200
            self.publish()
        return 200

    def finish(self, lease: int, message: str, outcome: str, *, qstash_is_up: bool = True) -> int:
        """End an attempt as its handler did."""
        if lease != self.lease:
            return 503
        if outcome == "check":
            self.alive = True
            outcome = "cancelled" if self.cancelled else "completed"
        if outcome == "later" and self.reschedules >= MAX_RESCHEDULES:
            outcome = "permanent"
        if outcome == "continue" and self.legs + 1 >= MAX_LEGS:
            outcome = "permanent"
        name = {"later": "rescheduled", "continue": "continued"}.get(outcome, outcome)
        self._keep("failed" if outcome in {"permanent", "timeout"} else name, message)
        self.lease, self.alive = None, False
        match outcome:
            case "completed":
                self.status, self.cancelled = "completed", False
                self.effects += 1
            case "cancelled":
                self.status = "cancelled"
            case "later":
                return self._reschedule(qstash_is_up=qstash_is_up)
            case "continue":
                return self._continue(qstash_is_up=qstash_is_up)
            case _:
                self._fail(for_good=outcome == "permanent" or not self._may_be_retried)
                return 489 if outcome == "permanent" else 500
        return 200

    def expire(self) -> None:
        self.alive = False

    def cancel(self) -> None:
        if self.status in {"pending", "failed"}:
            self.status, self.dead = "cancelled", False
            self.cancelled = True
        elif self.status == "processing":
            self.cancelled = True

    def retry(self, *, qstash_is_up: bool) -> None:
        if self.status not in {"failed", "cancelled"}:
            return
        self.status, self.dead, self.cancelled, self.retried = "pending", False, False, 0
        self.generation, self.reschedules, self.legs = self.generation + 1, 0, 0
        self.message, self.published = None, False
        self.max_retries = self._retries
        self.publish_unless_held(qstash_is_up=qstash_is_up)

    def give_up(self, message: str) -> int:
        """QStash's failure callback."""
        if self.status == "processing" and self.alive:
            return 503
        known = message == self.message or (
            self.message is None and self.generation + self.legs + self.reschedules == 0
        )
        if self.is_over or not known:
            return 200
        if (
            self.status == "processing"
            and self.retried < (self.max_retries or 0)
            and not self.cancelled
        ):
            return 200  # the sweep's: the process died with retries left
        self.message, self.published = message, True
        if self.status == "processing":
            self._lose()
        self._fail(for_good=True)
        return 200

    def refuse(self) -> int:
        """Take a delivery whose payload does not fit."""
        if self.status in {"pending", "failed"}:
            self.status, self.dead = "failed", True
        return 489

    def sweep(self, *, qstash_is_up: bool) -> None:
        if self.status == "processing" and not self.alive:
            self._lose()
            if self.cancelled:
                self.status = "cancelled"
            elif self._lost_at_this_leg > min(self._retries, KEPT - 1):
                self._fail(for_good=True)
            else:
                self.status, self.message, self.published = "pending", None, False
                self.held = self.paused
            self.reschedules += 1
            self.max_retries = self._retries
        if self._is_in_outbox and self.max_retries is not None and not self.held:
            self.publish_unless_held(qstash_is_up=qstash_is_up)

    @property
    def _is_in_outbox(self) -> bool:
        return self.status == "pending" and not self.published

    @property
    def _may_be_retried(self) -> bool:
        return self.max_retries is None or self.retried < self.max_retries

    @property
    def _retries(self) -> int:
        return DEFAULT_RETRIES if self.max_retries is None else self.max_retries

    @property
    def _lost_at_this_leg(self) -> int:
        kept = list(zip(self.outcomes, self.at_legs, strict=True))[-KEPT:]
        return kept.count(("lost", self.legs))

    def _is_done(self, message: str) -> bool:
        """Whether a newer message brings what this one's attempt has left to do."""
        tried = list(zip(self.outcomes, self.tried, strict=True))
        is_handed_over = ("continued", message) in tried or ("rescheduled", message) in tried
        return is_handed_over or message in self.spent

    def _may_claim(self, message: str) -> bool:
        if self._is_done(message):
            return False
        match self.status:
            case "pending":
                return True
            case "failed":
                is_redrive = message != self.message and message not in self.tried[-KEPT:]
                return not self.dead or is_redrive
            case "processing":
                return not self.alive and not self.cancelled
        return False

    def _fail(self, *, for_good: bool) -> None:
        if self.cancelled:
            self.status = "cancelled"
        else:
            self.status, self.dead = "failed", for_good

    def _reschedule(self, *, qstash_is_up: bool) -> int:
        self.status = "cancelled" if self.cancelled else "pending"
        self.reschedules += 1
        self._publish_by_type()
        if self.cancelled or self.held:
            return 200
        if not qstash_is_up:
            return 500
        self.publish()
        return 200

    def _continue(self, *, qstash_is_up: bool) -> int:
        retries_left = self._may_be_retried
        self.legs, self.effects = self.legs + 1, self.effects + 1
        self.retried = self.reschedules = 0
        self.status = "cancelled" if self.cancelled else "pending"
        self._publish_by_type()
        if self.cancelled or self.held:
            return 200
        if qstash_is_up:
            self.publish()
        return 200 if qstash_is_up or not retries_left else 500

    def _publish_by_type(self) -> None:
        """Wait for a message of the app's own, with the retries that the job's type has."""
        self.message, self.published, self.held = None, False, self.paused
        self.max_retries = RETRIES if self.max_retries is None else self.max_retries

    def _put_back(self, message: str) -> None:
        if self.status == "processing":
            self._lose()
        self.status, self.dead = "pending", False
        self.reschedules += 1
        self.spent.add(message)
        self._publish_by_type()

    def _lose(self) -> None:
        self._keep("lost", self.message)
        self.lease, self.alive = None, False

    def _keep(self, outcome: str, message: str | None) -> None:
        self.outcomes.append(outcome)
        self.at_legs.append(self.legs)
        self.tried.append(message)
