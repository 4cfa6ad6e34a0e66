"""`JOB_TYPES`: the names of the job types as constants, `JOB_TYPES.SEND_EMAIL`."""

from collections.abc import Iterator

from .values.nearest import hint


class JobTypes:
    """The names that `@bp.job` declared in this process, by their names in capitals.

    So a new job type has its constant by being declared, and a misspelt one is an error where it
    is written, not where it is enqueued. A family's types are there once `create_app` has imported
    the family.
    """

    def __init__(self) -> None:
        self._names: dict[str, str] = {}

    def add(self, job_type: str) -> None:
        """Make a constant of a job type: `send-email` is `SEND_EMAIL`."""
        self._names[job_type.upper().replace("-", "_")] = job_type

    def __getattr__(self, constant: str) -> str:
        try:
            return self._names[constant]
        except KeyError:
            known = hint(constant, sorted(self._names))
            raise AttributeError(f"there is no job type {constant}; {known}") from None

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._names.values()))

    def __dir__(self) -> list[str]:
        return sorted(self._names)


JOB_TYPES = JobTypes()
