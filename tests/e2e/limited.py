"""The app with a job type of which each organization may run one job at a time."""

import time
from typing import Any

from app import create_app
from app.jobs import Job, JobBlueprint
from tests.support.sample_jobs import Sample, SampleSchema

bp = JobBlueprint("limited", __name__)


@bp.job("limited", "/limited", payload=SampleSchema, per="organization", parallelism=1)
def limited(payload: Sample, job: Job) -> dict[str, Any]:
    """Wait as for somebody else's service, `count` milliseconds."""
    time.sleep(payload.count / 1000)
    return {"organization": job.organization_id}


def __getattr__(name: str) -> Any:
    """Return the app to who serves it, but not to those that import the type."""
    if name != "app":
        raise AttributeError(name)
    app = create_app()
    app.register_blueprint(bp)
    return app
