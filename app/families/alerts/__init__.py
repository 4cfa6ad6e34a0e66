"""Telling people when jobs stop being well, and when they are again."""

from flask.blueprints import BlueprintSetupState

from app.jobs import JobBlueprint
from app.jobs.operate import unwatch

bp = JobBlueprint("alerts", __name__)


@bp.record
def _stay_out_of_the_figures(state: BlueprintSetupState) -> None:
    """That alerts run well says nothing of the jobs that they are about."""
    unwatch(state.app, (job_type.type for job_type in bp.job_types))
