"""Transactional emails: one job, eight templates, sent now or later through Resend."""

from app.jobs import JobBlueprint

bp = JobBlueprint("email", __name__)
