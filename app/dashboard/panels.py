"""Panels that an app adds to a job's page: what its own tables know of the job."""

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from flask import current_app
from markupsafe import Markup
from sqlalchemy.orm import object_session

from ..jobs import JobExecution
from . import access
from .access import Role

log = logging.getLogger(__name__)

KEY = "jobs.dashboard.panels"


@dataclass(frozen=True, slots=True)
class Link:
    """A text that leads somewhere, by an address of http, https or this app."""

    text: str
    href: str

    def __post_init__(self) -> None:
        if urlsplit(self.href).scheme not in {"", "http", "https"}:
            raise ValueError(f"{self.href!r} is no address of http or https")


#: What a panel shows: a text, facts by their names, of which each may be a `Link`, or what
#: `kit.fragment` made of a template. None is no panel for this job.
Content = str | Markup | Mapping[str, object] | None


@dataclass(frozen=True, slots=True)
class Panel:
    """One part of a job's page.

    Attributes:
        show: Called with the job each time its page is shown.
        job_types: Of which jobs; None is all.
        needs: The smallest role that may see it.
    """

    title: str
    show: Callable[[JobExecution], Content]
    job_types: Collection[str] | None
    needs: Role


@dataclass(frozen=True, slots=True)
class Shown:
    """A panel with its content: facts, as their names and links, or a text.

    A fact that leads nowhere has no `href`.
    """

    title: str
    facts: Sequence[tuple[str, Link]] = ()
    text: str = ""


def of(row: JobExecution) -> list[Shown]:
    """Return the panels of a job that the user may see.

    One that raises says so in its place: the page is needed most where something is wrong.
    """
    panels: list[Panel] = current_app.extensions[KEY]
    fitting = [
        panel
        for panel in panels
        if access.user().may(panel.needs)
        and (panel.job_types is None or row.job_type in panel.job_types)
    ]
    return [shown for panel in fitting if (shown := _shown(panel, row)) is not None]


def _shown(panel: Panel, row: JobExecution) -> Shown | None:
    try:
        content = panel.show(row)
    except Exception as error:
        if session := object_session(row):
            session.rollback()  # which may be what it has broken
        log.exception("[dashboard] Panel failed", extra={"panel": panel.title})
        return Shown(panel.title, text=f"This panel failed: {type(error).__name__}")
    if isinstance(content, Mapping):
        facts = [(name, _as_link(value)) for name, value in content.items()]
        return Shown(panel.title, facts) if facts else None
    return Shown(panel.title, text=content) if content else None


def _as_link(value: object) -> Link:
    return value if isinstance(value, Link) else Link("—" if value is None else str(value), "")
