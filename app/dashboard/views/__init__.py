"""The screens, in the order of the navigation: a module each, with a template of its name."""

from . import (
    audit,
    bulk,
    dead_letters,
    doctor,
    errors,
    export,
    job,
    jobs,
    new,
    operations,
    overview,
    schedule,
    schedules,
    session,
    usage,
)

SCREENS = (
    overview.screen,
    jobs.screen,
    errors.screen,
    schedules.screen,
    dead_letters.screen,
    new.screen,
    usage.screen,
    doctor.screen,
    audit.screen,
    job.screen,
    bulk.screen,
    export.screen,
    operations.screen,
    schedule.screen,
    session.screen,
)
