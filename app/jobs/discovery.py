"""Finding the job families: one rule, and an error at start if it is broken.

A package below the given one that has a `bp` is a family. All its modules are imported, so every
`@bp.job` in it is registered; a job's module is named after its job type. A family with endpoints
for other callers than QStash has them in a second blueprint, `public`.
"""

from collections import Counter
from collections.abc import Iterator
from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType

from flask import Blueprint, Flask

from .blueprint import JobBlueprint
from .errors import DiscoveryError


def discover(app: Flask, package: str) -> None:
    """Register the families in `package` with the app, sorted by name.

    Raises:
        DiscoveryError: A folder without `bp`, a module that cannot be imported, a job type in a
            module of another name, or a type or path that is taken.
    """
    names = sorted(_packages(_import(package)))
    # All are imported before the first is registered: a family may use what others declare.
    for family in [_import_family(f"{package}.{name}") for name in names]:
        blueprint = getattr(family, "bp", None)
        if not isinstance(blueprint, JobBlueprint):
            raise DiscoveryError(
                f"{family.__name__} has no "
                f"`bp = JobBlueprint({family.__name__.rpartition('.')[2]!r}, __name__)`"
            )
        _check_names(blueprint)
        app.register_blueprint(blueprint)
        if isinstance(public := getattr(family, "public", None), Blueprint):
            app.register_blueprint(public)


def _import_family(name: str) -> ModuleType:
    family = _import(name)
    for module in sorted(info.name for info in iter_modules(family.__path__)):
        _import(f"{name}.{module}")
    return family


def _packages(package: ModuleType) -> Iterator[str]:
    return (info.name for info in iter_modules(package.__path__) if info.ispkg)


def _import(name: str) -> ModuleType:
    try:
        return import_module(name)
    except DiscoveryError:
        raise
    except Exception as error:
        raise DiscoveryError(f"{name} cannot be imported: {error!r}") from error


def _check_names(blueprint: JobBlueprint) -> None:
    each = Counter(job_type.handler.__module__ for job_type in blueprint.job_types)
    for job_type in blueprint.job_types:
        module, name = job_type.handler.__module__, job_type.type.replace("-", "_")
        if module.rpartition(".")[2] == name:
            continue
        if each[module] > 1:
            raise DiscoveryError(
                f"job type {job_type.type!r} stands in {module}: move it into a module of its own, "
                f"which must be called {name}"
            )
        raise DiscoveryError(
            f"job type {job_type.type!r} stands in {module}: its module must be called {name}"
        )
