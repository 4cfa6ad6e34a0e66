"""The app's own screens and panels on the dashboard: the webhook inbox, the mailbox, the artifacts.

An example of what any app adds there by `app.dashboard.kit`.
"""

from flask import Flask

from app.dashboard import Dashboard, Role
from app.families.webhooks import inbox
from app.screens import artifacts, mailbox, panels, webhooks


def add_to(dashboard: Dashboard, app: Flask) -> None:
    """Add them to the dashboard of an app, before that is bound to it."""
    dashboard.add_screen(webhooks.screen)
    dashboard.add_screen(artifacts.screen)
    if app.config["APP_ENV"] != "production":
        dashboard.add_screen(mailbox.screen)
    dashboard.panel("Webhook", job_types=[inbox.JOB])(panels.webhook)
    dashboard.panel("Artifacts", needs=Role.OPERATOR)(panels.files)
