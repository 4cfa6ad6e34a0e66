"""The screens, in the order of the navigation: a module each, with a template of its name."""

from . import bulk, errors, job, jobs, overview

SCREENS = (overview.screen, jobs.screen, errors.screen, job.screen, bulk.screen)
