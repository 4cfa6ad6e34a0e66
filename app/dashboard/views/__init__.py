"""The screens, in the order of the navigation: a module each, with a template of its name."""

from . import (
    audit,
    bulk,
    dead_letters,
    doctor,
    errors,
    job,
    jobs,
    message,
    new,
    operations,
    overview,
    queues,
    schedules,
    session,
    usage,
)

SCREENS = (
    overview.screen,
    jobs.screen,
    errors.screen,
    queues.screen,
    schedules.screen,
    dead_letters.screen,
    new.screen,
    usage.screen,
    doctor.screen,
    audit.screen,
    job.screen,
    message.screen,
    bulk.screen,
    operations.screen,
    session.screen,
)
