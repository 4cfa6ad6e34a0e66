"""Transactional emails: one job, eight templates, sent now or later through Resend."""

from app.jobs import JobBlueprint
from app.jobs.cli.kit import JobsGroup

bp = JobBlueprint("email", __name__)
bp.cli = JobsGroup(help="Manage the emails that this app sends.")
