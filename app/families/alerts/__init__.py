"""Alerts when job health changes for the worse, and when it recovers."""

from flask.blueprints import BlueprintSetupState

from app.jobs import JobBlueprint
from app.jobs.operate import unwatch

bp = JobBlueprint("alerts", __name__)


@bp.record
def _stay_out_of_the_figures(state: BlueprintSetupState) -> None:
    """Keep the alert jobs themselves from counting as healthy or unhealthy jobs."""
    unwatch(state.app, (job_type.type for job_type in bp.job_types))
