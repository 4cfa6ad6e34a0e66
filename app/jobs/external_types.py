"""Job types whose worker is elsewhere: enqueued, recorded and retried as all are, not run here.

enqueue ── validate ── record ── commit ── publish ──▶ QStash ──▶ the worker at `url`
record ◀── QStash's callback: completed, or failed ◀───────┘
record ◀── QStash's failure callback: dead
"""

from collections.abc import Mapping
from typing import Any, TypeVar
from urllib.parse import urlsplit

from .blueprint import Enqueueable
from .context import Job
from .declaration import check_external
from .errors import DiscoveryError, PermanentError
from .job_options import ExternalOptions, check_options
from .registry import JobConfig
from .schemas import PayloadSchema
from .values.options import FlowControl

P = TypeVar("P")


class ExternalType(Enqueueable[P]):
    """A job type that another app executes."""

    def __init__(
        self,
        job_type: str,
        url: str | None,
        schema: type[PayloadSchema[P]],
        flow_control: FlowControl | None,
        options: Mapping[str, Any],
    ) -> None:
        super().__init__(job_type)
        check_external(job_type, schema)
        self.url = _checked(job_type, url)
        self._schema = schema
        self._flow_control = flow_control
        self._options = check_options(f"job type {job_type!r}", options, ExternalOptions)

    def new_config(self) -> JobConfig:
        """Return what a registry keeps of it."""
        return JobConfig(
            type=self.type,
            endpoint=self.url,
            handler=self._refuse,
            schema=self._schema(),
            flow_control=self._flow_control,
            **self._options,
        )

    def _refuse(self, _: P, __: Job) -> None:
        raise PermanentError(f"jobs of type {self.type!r} are executed by {self.url}, not here")


def _checked(job_type: str, url: str | None) -> str:
    try:
        parts = urlsplit(url or "")
        good = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        good = False
    if not good:
        raise DiscoveryError(
            f"job type {job_type!r} is external, and its url {url!r} is not an absolute http(s)"
            " URL: say where its worker takes QStash's deliveries"
        )
    return str(url)
