"""The screens, in the order of the navigation: a module each, with a template of its name."""

from . import job, jobs

SCREENS = (jobs.screen, job.screen)
