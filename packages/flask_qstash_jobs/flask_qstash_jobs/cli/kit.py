"""What an app's own commands are made of: groups, errors in one line, `--json`, tables."""

from ..jobs.cli.kit import *  # noqa: F403 - the face is listed once, in its `__all__`
