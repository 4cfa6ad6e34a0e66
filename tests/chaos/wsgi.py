"""The app that is tormented: the real one, with the sample jobs."""

from app import create_app
from tests.support.sample_jobs import bp

app = create_app()
app.register_blueprint(bp)
