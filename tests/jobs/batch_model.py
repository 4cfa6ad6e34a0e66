"""What must become of a batch or a workflow, in plain Python, from how its jobs have ended."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

STOP, GO_ON, REPLACE = "stop", "go on", "replace"


@dataclass
class StepModel:
    """A step.

    Attributes:
        wait: How a step that waits for a signal has ended; "" of one that has a job.
        heard: The signal came before it began.
    """

    after: tuple[str, ...] = ()
    if_dead: str = STOP
    is_wait: bool = False
    wait: str | None = None
    heard: bool = False
    started: bool = False
    replaced: bool = False


@dataclass
class BatchModel:
    """A batch, or a workflow with its steps.

    Attributes:
        ends: How each of its jobs has ended: "completed", "dead" or "cancelled"; None of others.
        step_of: The step that a job counts for; None in a batch.
        followed: What its ends so far have enqueued.
    """

    steps: dict[str, StepModel] = field(default_factory=dict)
    ends: dict[str, str | None] = field(default_factory=dict)
    step_of: dict[str, str | None] = field(default_factory=dict)
    called_off: bool = False
    followed: set[str] = field(default_factory=set)

    @property
    def state(self) -> str:
        ends = {*self.ends.values(), *self._waits()}
        if None in ends:
            return "running"
        if self.called_off:
            return "cancelled"
        if "dead" in ends:
            return "failed"
        if "cancelled" in ends:
            return "cancelled"
        return "failed" if any(step.replaced for step in self.steps.values()) else "completed"

    def count(self, end: str | None) -> int:
        """Count the jobs and waits that have ended so; None those that have not ended."""
        return [*self.ends.values(), *self._waits()].count(end)

    def note(self, found: Mapping[str, tuple[str | None, str | None]]) -> None:
        """Take over how its jobs are: of each its step, and how it has ended.

        One that is gone stays as it was; if it had not ended, it counts as cancelled.
        """
        gone = {job: (self.step_of[job], self.ends[job] or "cancelled") for job in self.ends}
        for job_id, (step, end) in (gone | dict(found)).items():
            if end is None and self.ends.get(job_id) is not None:
                self.wait_again("cancelled")
                self.called_off = False
            self.ends[job_id], self.step_of[job_id] = end, step
        self.advance()

    def advance(self) -> None:
        """Begin the steps that may, and what follows the end."""
        decided = True
        skipped: set[str] = set()
        while decided and not self.called_off:
            decided = False
            for name, step in self.steps.items():
                before = [self.outcome(one, skipped) for one in step.after]
                if step.started or name in skipped or None in before:
                    continue
                decided = True
                self._decide(name, skipped, is_well=set(before) <= {"completed"})
        follows = {"completed": {"then"}, "failed": {"on_failure"}}
        self.followed |= follows.get(self.state, set())

    def outcome(self, name: str, skipped: Iterable[str] = ()) -> str | None:
        """Return how a step has ended; None where it has not."""
        step = self.steps[name]
        if not step.started:
            return "skipped" if name in skipped else None
        if step.is_wait:
            return step.wait
        ends = {end for job_id, end in self.ends.items() if self.step_of[job_id] == name}
        if not ends or None in ends:
            return None
        worst = next((end for end in ("dead", "cancelled") if end in ends), None)
        return worst or ("replaced" if step.replaced else "completed")

    def hear(self, heard_early: Iterable[str]) -> None:
        """Complete the steps that wait, and note those that have heard it before they began."""
        for name in heard_early:
            self.steps[name].heard = True
        self._end_waits("completed")

    def time_out(self) -> None:
        self._end_waits("dead")

    def call_off(self) -> None:
        self.called_off = True
        for step in self.steps.values():
            if step.is_wait and step.started and step.wait is None:
                step.wait = "cancelled"

    def wait_again(self, *ended: str) -> None:
        for step in self.steps.values():
            if step.wait in ended:
                step.wait, self.called_off = None, False

    def _end_waits(self, end: str) -> None:
        for step in self.steps.values():
            if step.is_wait and step.started and step.wait is None and not self.called_off:
                step.wait = end

    def _decide(self, name: str, skipped: set[str], *, is_well: bool) -> None:
        step = self.steps[name]
        if not is_well and step.if_dead == STOP:
            skipped.add(name)
            return
        step.started, step.replaced = True, not is_well and step.if_dead == REPLACE
        if step.is_wait and step.heard:
            step.wait = "completed"

    def _waits(self) -> Iterable[str | None]:
        return [step.wait for step in self.steps.values() if step.is_wait and step.started]
