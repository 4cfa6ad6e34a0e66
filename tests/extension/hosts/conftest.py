import pytest
from dotenv import load_dotenv
from shop import create_app, db

load_dotenv()  # as `flask` does

pytest_plugins = ["flask_qstash_jobs.testing"]


@pytest.fixture
def app():
    app = create_app(TESTING=True)
    with app.app_context():
        yield app
        db.session.remove()
