"""What a sweep did, in jobs."""

from dataclasses import asdict, dataclass, field

#: How many jobs that were set aside a report names in its line.
NAMED = 5


@dataclass(slots=True, kw_only=True)
class SweepReport:
    """What one sweep did, in jobs.

    Attributes:
        published: Handed to QStash.
        refused: Failed and dead, as QStash will not take them.
        resumed: Handed to QStash, as the pause for which they waited has ended.
        rescued: Put back after their process died, and published again.
        abandoned: Dead, as their process died too often.
        cancelled: Cancelled while they ran, which their process did not live to see.
        caught_up: Recorded to make up for a schedule's firings that were missed.
        dead_letters: Failed and dead, as QStash had given them up.
        set_aside: The ids of jobs that could not be treated, each for its own reason, which is
            logged. They do not block others, and the next sweep tries them again.
        quota_until: When QStash's daily quota is renewed, in ISO 8601, if jobs wait for that.
        problem: What else went wrong; the next sweep goes on.
    """

    published: int = 0
    refused: int = 0
    resumed: int = 0
    rescued: int = 0
    abandoned: int = 0
    cancelled: int = 0
    caught_up: int = 0
    dead_letters: int = 0
    set_aside: list[str] = field(default_factory=list)
    quota_until: str | None = None
    problem: str | None = None

    @property
    def is_clean(self) -> bool:
        """Whether nothing failed."""
        return not self.set_aside and self.problem is None

    def __str__(self) -> str:
        values = asdict(self)
        aside, problem = values.pop("set_aside"), values.pop("problem")
        quota_until = values.pop("quota_until")
        did = [f"{name.replace('_', ' ')} {count}" for name, count in values.items() if count]
        if aside:
            more = ", …" if len(aside) > NAMED else ""
            did.append(f"set aside {len(aside)} ({', '.join(aside[:NAMED])}{more})")
        if quota_until:
            did.append(f"QStash's daily quota is used up until {quota_until}")
        return (
            ", ".join(did + ([f"stopped early: {problem}"] if problem else [])) or "nothing to do"
        )
