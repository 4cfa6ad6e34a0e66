"""The settings of the extension: their defaults are in `app.jobs`, their checks here."""

from collections.abc import Callable, Mapping
from typing import Any

from environs import Env
from marshmallow.validate import OneOf, Range, Regexp

from app.config.checks import ABOVE_ZERO, AT_LEAST_ZERO, ONE_OF, are_destinations, is_cron
from app.jobs.kit import DEFAULTS

#: The value of JOBS_SEAL for a production that does not seal.
UNSEALED = "false-in-production"

_NAMESPACE = Regexp(
    r"[A-Za-z0-9_-]{0,40}$", error="may contain only letters, digits, '-' and '_', at most 40."
)
_CHECKS: dict[str, tuple[Callable[[Any], object], ...]] = {
    "JOBS_PUBLISH": (OneOf(("inline", "background"), error=ONE_OF),),
    "JOBS_NAMESPACE": (_NAMESPACE,),
    "JOBS_GRACE": (ABOVE_ZERO,),
    "JOBS_PUBLISH_TIMEOUT": (ABOVE_ZERO,),
    "JOBS_MAX_BODY": (ABOVE_ZERO,),
    "JOBS_MAX_RESCHEDULES": (AT_LEAST_ZERO,),
    "JOBS_MAX_LEGS": (Range(min=1),),
    "JOBS_SIGNATURE_LEEWAY": (AT_LEAST_ZERO,),
    "JOBS_SWEEP_EVERY": (AT_LEAST_ZERO,),
    "JOBS_SWEEP_CRON": (is_cron,),
    "JOBS_ID_TYPE": (OneOf(("integer", "text", "uuid"), error=ONE_OF),),
    "JOBS_SEAL": (OneOf(("true", "false", UNSEALED), error=ONE_OF),),
    "JOBS_UNSEALED": (),
    "JOBS_CALLBACK_ALLOW": (are_destinations,),
    "JOBS_HEALTH_FAILURE_RATE": (Range(0, 1),),
    "JOBS_HEALTH_UNHEALTHY_RATE": (Range(0, 1),),
    "JOBS_HEALTH_PROCESSING": (ABOVE_ZERO,),
    "JOBS_HEALTH_OVERDUE": (ABOVE_ZERO,),
    "JOBS_HEALTH_IDLE": (ABOVE_ZERO,),
}


def read(env: Env, defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Read each as the type of its default: text, integer or another number."""
    readers: dict[type, Callable[..., Any]] = {str: env.str, int: env.int, float: env.float}
    known = {**DEFAULTS, **defaults}
    return {
        name: readers[type(known[name])](name, known[name], validate=checks)
        for name, checks in _CHECKS.items()
    }
