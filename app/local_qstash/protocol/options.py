"""The configuration of a message: `Upstash-*` headers to a frozen value.

What is parsed here is also what the store keeps: the header pairs as they came. A message read
back from disk is parsed again, so there is one reader of this format and no second encoding.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from ..errors import bad_request
from .destinations import check_url
from .durations import parse_duration
from .expressions import compile_retry_delay
from .headers import Pair, canonical, read_duration, read_integer, read_method, split_list
from .text import whole_number

_WEEK = 7 * 86_400
_FORWARD = "upstash-forward-"
# A delivery sets these itself: those of its connection, and those that QStash adds.
_NOT_FORWARDED = frozenset(
    {"connection", "content-length", "expect", "host", "keep-alive", "te", "trailer"}
    | {"transfer-encoding", "upgrade", "user-agent", "upstash-signature", "upstash-message-id"}
    | {"upstash-retried", "upstash-region", "upstash-caller-ip", "upstash-schedule-id"}
    | {"upstash-topic-name"}
)


@dataclass(frozen=True, slots=True)
class FlowControl:
    """Limits shared by all messages with the same key; `period` in seconds."""

    key: str
    parallelism: int | None = None
    rate: int | None = None
    period: int = 1


@dataclass(frozen=True, slots=True)
class Redaction:
    """The fields that outputs replace with a hash; `names` are canonical header names."""

    body: bool = False
    all_headers: bool = False
    names: frozenset[str] = frozenset()

    def __str__(self) -> str:
        """Return it in the form of `Upstash-Redact-Fields`."""
        chosen = ["body"] * self.body + ["header"] * self.all_headers
        return ", ".join(chosen + [f"header[{name}]" for name in sorted(self.names)])


@dataclass(frozen=True, slots=True)
class CallbackOptions:
    """The destination and options of a callback; None means those of the original message."""

    url: str
    method: str = "POST"
    headers: tuple[Pair, ...] = ()
    retries: int | None = None
    retry_delay: str | None = None
    timeout: int | None = None


@dataclass(frozen=True, slots=True)
class Options:
    """A publisher's options for the whole life of a message. Durations in seconds."""

    method: str = "POST"
    headers: tuple[Pair, ...] = ()  # canonical names, forwarded to the destination
    retries: int = 3
    retry_delay: str | None = None
    timeout: int | None = None
    callback: CallbackOptions | None = None
    failure_callback: CallbackOptions | None = None
    flow: FlowControl | None = None
    labels: tuple[str, ...] = ()
    redaction: Redaction | None = None


@lru_cache(maxsize=4096)
def parse_options(pairs: tuple[Pair, ...]) -> Options:
    """Return the options in lower-case header pairs; equal pairs share one instance.

    Raises:
        ApiError: 400, naming the header and what is wrong with it.
    """
    values = dict(pairs)
    return Options(
        method=read_method(values, "upstash-method"),
        headers=_forwarded(pairs, _FORWARD),
        retries=3 if (given := read_integer(values, "upstash-retries")) is None else given,
        retry_delay=_retry_delay(values, "upstash-retry-delay"),
        timeout=read_duration(values, "upstash-timeout"),
        callback=_callback(pairs, values, "upstash-callback"),
        failure_callback=_callback(pairs, values, "upstash-failure-callback"),
        flow=_flow(values),
        labels=split_list(values.get("upstash-label", "")),
        redaction=_redaction(values.get("upstash-redact-fields", "")),
    )


def _retry_delay(values: dict[str, str], name: str) -> str | None:
    text = values.get(name)
    if text is not None:
        compile_retry_delay(text)
    return text


def _forwarded(pairs: Iterable[Pair], prefix: str) -> tuple[Pair, ...]:
    cut = len(prefix)
    found = [
        (canonical(name[cut:]), value)
        for name, value in pairs
        if name.startswith(prefix) and name[cut:] and name[cut:] not in _NOT_FORWARDED
    ]
    plain = [("Content-Type", v) for k, v in pairs if k == "content-type" and prefix == _FORWARD]
    return tuple(plain + [pair for pair in found if not plain or pair[0] != "Content-Type"])


def _callback(pairs: Iterable[Pair], values: dict[str, str], prefix: str) -> CallbackOptions | None:
    url = values.get(prefix)
    if not url:
        return None
    check_url(url, canonical(prefix))
    if f"{prefix}-delay" in values:
        raise bad_request(f"{canonical(prefix)}-Delay: callbacks cannot be delayed")
    return CallbackOptions(
        url=url,
        method=read_method(values, f"{prefix}-method"),
        headers=_forwarded(pairs, f"{prefix}-forward-"),
        retries=read_integer(values, f"{prefix}-retries"),
        retry_delay=_retry_delay(values, f"{prefix}-retry-delay"),
        timeout=read_duration(values, f"{prefix}-timeout"),
    )


def _flow(values: dict[str, str]) -> FlowControl | None:
    key, text = values.get("upstash-flow-control-key"), values.get("upstash-flow-control-value")
    if not key and not text:
        return None
    if not key or not text:
        raise bad_request(
            "Upstash-Flow-Control-Key and Upstash-Flow-Control-Value must be set together"
        )
    parts = dict(_flow_part(part) for part in split_list(text))
    if "rate" not in parts and "parallelism" not in parts:
        raise _bad_flow()
    return FlowControl(key, **parts)


def _flow_part(part: str) -> tuple[str, int]:
    name, _, value = (piece.strip() for piece in part.partition("="))
    if name == "period":
        seconds = parse_duration(value, "Upstash-Flow-Control-Value: period")
        if not 1 <= seconds <= _WEEK:
            raise bad_request("Upstash-Flow-Control-Value: period must be 1s to 7d")
        return name, seconds
    number = whole_number(value)
    if name not in ("rate", "parallelism") or number is None or not 1 <= number < 2**31:
        raise _bad_flow()
    return name, number


def _bad_flow() -> Exception:
    return bad_request(
        "Upstash-Flow-Control-Value should be either rate=X or parallelism=Y, "
        "or both as comma-separated values"
    )


def _redaction(text: str) -> Redaction | None:
    if not text.strip():
        return None
    fields = [field.replace(" ", "") for field in split_list(text)]
    # The documentation writes headers, the SDKs write header.
    names = [field.removeprefix("headers").removeprefix("header") for field in fields]
    for field, name in zip(fields, names, strict=True):
        if field != "body" and (name == field or (name and name[0] + name[-1] != "[]")):
            raise bad_request(
                f"Upstash-Redact-Fields: unknown field {field!r}, use body, header or header[Name]"
            )
    return Redaction(
        body="body" in fields,
        all_headers="" in names,
        names=frozenset(canonical(name[1:-1]) for name in names if name.startswith("[")),
    )
