"""The app's own screens and panels on the dashboard: its artifacts, and what the families add.

An example of what any app adds there by `app.dashboard.kit`. A family that has a module `screen`
adds to the dashboard by its `add_to`, and takes that with it when it is removed.
"""

from importlib import import_module
from importlib.util import find_spec
from pkgutil import iter_modules

from flask import Flask

from app import families
from app.dashboard import Dashboard, Role
from app.screens import artifacts, panels


def add_to(dashboard: Dashboard, app: Flask) -> None:
    """Add them to the dashboard of an app, before that is bound to it."""
    for name in sorted(info.name for info in iter_modules(families.__path__)):
        module = f"{families.__name__}.{name}.screen"
        if find_spec(module):
            import_module(module).add_to(dashboard, app)
    dashboard.add_screen(artifacts.screen)
    dashboard.panel("Artifacts", needs=Role.OPERATOR)(panels.files)
