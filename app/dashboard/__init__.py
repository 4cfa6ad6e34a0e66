"""The dashboard: people see their jobs in a browser, and act on them.

One line adds it to an app that has `Jobs`:

    Dashboard(app)

Who may see it is decided in `access`; each screen is a module of `views` with a template. An app
adds screens and panels of its own by what `kit` has.
"""

from .access import Role, User
from .extension import Dashboard

__all__ = ["Dashboard", "Role", "User"]
