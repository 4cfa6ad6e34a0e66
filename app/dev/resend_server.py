"""A server that speaks Resend's API on this machine, for `make demo` and for tests.

The real `resend` SDK sends to it (RESEND_API_URL points it here). It accepts emails, honours
idempotency keys, keeps accepted emails and fails on demand:

    with ResendServer(folder) as resend:
        resend.answer("new@example.com", OUTAGE, OUTAGE)  # twice 500, then accepted
        resend.answer("never@example.com", INVALID, forever=True)
        ...
        assert resend.sent[0].params["subject"] == "Welcome"

API facts: https://resend.com/docs/api-reference/emails/send-email,
https://resend.com/docs/api-reference/errors and
https://resend.com/docs/dashboard/emails/idempotency-keys
"""

import itertools
import json
import math
import re
import threading
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

from app.families.email import mailbox


@dataclass(frozen=True)
class Answer:
    """How the server answers one request; the default is acceptance."""

    status: int = 200  # 0: no answer at all
    name: str = ""
    message: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    after: float = 0  # seconds of silence before the answer
    lost: bool = False  # the email is accepted, but the connection breaks before the answer


ACCEPTED = Answer()
OUTAGE = Answer(500, "application_error", "An unexpected error occurred.")
INVALID = Answer(422, "validation_error", "Invalid `to` field. The email address is not valid.")
RATE_LIMITED = Answer(
    429, "rate_limit_exceeded", "Too many requests. Limit is 2 per second.", {"retry-after": "1"}
)
SILENT = Answer(0, after=math.inf)
LOST = Answer(lost=True)
#: An API key that is refused.
INVALID_KEY = "re_invalid"


@dataclass(frozen=True)
class Request:
    """A received request, and the id of its email if it was accepted."""

    params: dict[str, Any]
    idempotency_key: str | None
    status: int
    email_id: str | None = None

    @property
    def recipients(self) -> list[str]:
        to = self.params.get("to", [])
        return [to] if isinstance(to, str) else list(to)


class ResendServer:
    """The server, in threads of this process, from entering the context to leaving it.

    Args:
        folder: where each accepted email is written as .html and .eml; None writes nothing.
        port: of 127.0.0.1; 0 means any free one.

    Attributes:
        requests: every request with a readable email, in order, including rejected ones.
        domains: each with its status, such as "verified"; None as for an API key that may only
            send.
    """

    def __init__(self, folder: Path | None = None, *, port: int = 0) -> None:
        self.requests: list[Request] = []
        self.domains: dict[str, str] | None = {}
        self._folder = folder
        self._port = port
        self._accepted: dict[str, Request] = {}
        self._plans: dict[str | None, Iterator[Answer]] = {}
        self._lock = threading.Lock()
        self._closing = threading.Event()

    @property
    def port(self) -> int:
        port: int = self._http.server_address[1]
        return port

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def sent(self) -> list[Request]:
        """The accepted emails; a repetition under the same key does not count as a second one."""
        return [one for one in self.requests if one.email_id]

    def answer(self, recipient: str | None, *answers: Answer, forever: bool = False) -> None:
        """Plan the next answers for a recipient (None: for everyone without a plan).

        After the last one, emails are accepted again; with `forever` the last one stays.
        """
        plan = itertools.chain(answers, itertools.repeat(answers[-1])) if forever else answers
        with self._lock:
            self._plans[recipient] = iter(plan)

    def __enter__(self) -> Self:
        server = type("Handler", (_Handler,), {"resend": self})
        self._http = ThreadingHTTPServer(("127.0.0.1", self._port), server)
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()

    def receive(self, params: dict[str, Any], key: str | None) -> tuple[Answer, dict[str, Any]]:
        """Receive one email and return the answer to give, with its JSON body."""
        with self._lock:
            answer = self._planned(Request(params, key, 0).recipients)
            earlier = self._accepted.get(key) if key else None
            if answer.status != ACCEPTED.status:
                self.requests.append(Request(params, key, answer.status))
                return answer, _refusal(answer)
            if earlier:
                return self._repeated(earlier, params, answer)
            return answer, {"id": self._accept(params, key)}

    def wait(self, seconds: float) -> None:
        """Stay silent for this long, or until the server closes."""
        self._closing.wait(None if math.isinf(seconds) else seconds)

    def _planned(self, recipients: list[str]) -> Answer:
        for recipient in (*recipients, None):
            if recipient in self._plans:
                return next(self._plans[recipient], ACCEPTED)
        return ACCEPTED

    def _repeated(
        self, earlier: Request, params: dict[str, Any], answer: Answer
    ) -> tuple[Answer, dict[str, Any]]:
        if params == earlier.params:
            self.requests.append(Request(params, earlier.idempotency_key, 200))
            return answer, {"id": earlier.email_id}
        conflict = Answer(409, "invalid_idempotent_request", "Same key, different payload.")
        self.requests.append(Request(params, earlier.idempotency_key, 409))
        return conflict, _refusal(conflict)

    def _accept(self, params: dict[str, Any], key: str | None) -> str:
        email_id = str(uuid.uuid4())
        request = Request(params, key, 200, email_id)
        self.requests.append(request)
        if key:
            self._accepted[key] = request
        if self._folder:
            slug = re.sub(r"[^a-z0-9]+", "-", str(params["subject"]).lower()).strip("-")[:50]
            file = self._folder / f"{len(self.sent):02d}-{slug}.eml"
            self._folder.mkdir(parents=True, exist_ok=True)
            mailbox.write(file, params, message_id=email_id)
        return email_id


class _Handler(BaseHTTPRequestHandler):
    resend: ResendServer

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        problem = self._problem(body)
        if problem:
            self._respond(problem, _refusal(problem))
            return
        answer, content = self.resend.receive(json.loads(body), self.headers.get("Idempotency-Key"))
        self.resend.wait(answer.after)
        if answer.lost or math.isinf(answer.after):
            self.close_connection = True
        else:
            self._respond(answer, content)

    def do_GET(self) -> None:
        """List the domains, as /domains does."""
        problem = self._misdirected("/domains")
        if not problem and self.resend.domains is None:
            problem = Answer(401, "restricted_api_key", "This API key is restricted to sending.")
        if problem:
            self._respond(problem, _refusal(problem))
            return
        domains = self.resend.domains or {}
        known = [{"name": name, "status": status} for name, status in domains.items()]
        self._respond(ACCEPTED, {"object": "list", "has_more": False, "data": known})

    def _misdirected(self, path: str) -> Answer | None:
        if self.path != path:
            return Answer(404, "not_found", "The requested endpoint does not exist.")
        key = self.headers.get("Authorization", "").removeprefix("Bearer").strip()
        if not key:
            return Answer(401, "missing_api_key", "Missing API key in the authorization header.")
        if key == INVALID_KEY:
            return Answer(403, "invalid_api_key", "API key is invalid.")
        return None

    def _problem(self, body: bytes) -> Answer | None:
        if problem := self._misdirected("/emails"):
            return problem
        try:
            params = json.loads(body)
        except ValueError:
            params = None
        if not isinstance(params, dict):
            return Answer(400, "validation_error", "The request body is not a JSON object.")
        missing = [name for name in ("from", "to", "subject") if not params.get(name)]
        if missing:
            return Answer(422, "missing_required_field", f"Missing `{missing[0]}` field.")
        return None

    def _respond(self, answer: Answer, content: dict[str, Any]) -> None:
        body = json.dumps(content).encode()
        self.send_response(answer.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        """Print nothing: `requests` has everything."""


def _refusal(answer: Answer) -> dict[str, Any]:
    return {"statusCode": answer.status, "name": answer.name, "message": answer.message}
