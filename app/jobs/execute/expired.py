"""The outcome of a job that comes too late."""

from dataclasses import dataclass

from ..outcome import Answer, Cancelled


@dataclass(frozen=True, slots=True)
class Expired(Cancelled):
    """The job came later than its `expires` allows, and was not run."""

    label = "expired"
    event = "[jobs] Job expired"

    error: str = "it came later than `expires` allows, and was not run"

    def answer(self) -> Answer:
        return Answer(200, {"success": True, "skipped": "expired"})
