"""The screens, in the order of the navigation: a module each, with a template of its name."""

from . import audit, bulk, errors, job, jobs, new, overview, schedules

SCREENS = (
    overview.screen,
    jobs.screen,
    errors.screen,
    schedules.screen,
    new.screen,
    audit.screen,
    job.screen,
    bulk.screen,
)
