"""Pages as a reader has them: their text, their forms."""

import re
from dataclasses import dataclass
from html import unescape
from typing import Any

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

PREFIX = "/admin/jobs"


@dataclass
class Reader:
    """Somebody at this machine, in development."""

    client: FlaskClient

    def get(self, path: str, **headers: str) -> TestResponse:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.client.get(PREFIX + path, headers=named, buffered=True)

    def send(self, action: str, form: dict[str, Any], *, at: str = "/jobs") -> TestResponse:
        """Send a form as a page's own would be."""
        given = {"csrf": self.token(at), **form}
        return self.client.post(PREFIX + action, data=given)

    def token(self, at: str = "/jobs") -> str:
        """Return what a form of a page sends; every page with a form has the same."""
        found = re.search(r'name="csrf" value="([^"]+)"', self.get(at).text)
        assert found, f"no form is on {at}"
        return found[1]


def text_of(page: TestResponse) -> str:
    """Return what a page says, on one line."""
    without = re.sub(r"<(script|style|svg).*?</\1>|<[^>]*>", " ", page.text, flags=re.DOTALL)
    return unescape(" ".join(without.split()))
