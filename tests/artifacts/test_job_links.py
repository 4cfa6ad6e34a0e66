"""A job's status links to the files that it made."""

from urllib.parse import urlsplit

from flask.testing import FlaskClient

from app.jobs import enqueue, status_url
from app.jobs.message import Message
from app.jobs.testing import deliver


def path_of(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.path}?{parts.query}"


def test_the_status_of_a_finished_export_links_to_its_file(
    client: FlaskClient, published: list[Message]
) -> None:
    job_id = enqueue("export-data", {"entityType": "users", "format": "csv", "filters": {}})
    assert deliver(job_id).status_code == 200

    links = client.get(path_of(status_url(job_id))).get_json()["links"]
    (link,) = links.values()

    assert client.get(path_of(link), buffered=True).data.startswith(b"id,")
