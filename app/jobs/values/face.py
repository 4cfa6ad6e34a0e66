"""Where users import from."""

from importlib import import_module


def face() -> str:
    """Name the package that users import from: this one, or the one that it is shipped in."""
    jobs = __package__.rpartition(".")[0]
    above = jobs.rpartition(".")[0]
    return above if hasattr(import_module(above), "JobBlueprint") else jobs
