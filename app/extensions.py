"""The extensions, not yet bound to an app."""

from flask_limiter import Limiter
from flask_limiter.util import get_remote_address
from flask_migrate import Migrate

from app.jobs import Jobs

migrate = Migrate()
jobs = Jobs()
#: Counts in the process's memory, or for all processes at RATELIMIT_STORAGE_URI.
limiter = Limiter(get_remote_address)
