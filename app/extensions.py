"""The extensions, not yet bound to an app."""

from flask_migrate import Migrate

from app.jobs import Jobs

migrate = Migrate()
jobs = Jobs()
