"""The failure callback that a job was enqueued with, told through QStash."""

import logging
from typing import Any

from ..errors import InvalidOption, PublishRefused, PublishUnavailable
from ..publish import outbox
from ..values import callback_urls
from .given_up import DeadLetter

log = logging.getLogger(__name__)


def forward(letter: DeadLetter, *, once: str = "failure-callback") -> None:
    """Publish QStash's report to the job's own callback of that kind, if it has one.

    Through QStash, so that it is signed and retried like any callback of its own. Where it goes is
    checked anew: since the enqueue the name may have come to mean another address.

    Raises:
        PublishUnavailable: QStash cannot be reached at the moment, or the name not be looked up.
    """
    if letter.forward_to is None:
        return
    request: dict[str, Any] = {
        "url": letter.forward_to,
        "body": letter.report,
        "content_type": "application/json",
        # A callback may come twice; what it sets off must not.
        "deduplication_id": outbox.publisher().own(f"{once}-{letter.message_id.replace(':', '-')}"),
    }
    try:
        callback_urls.check_again("failure_callback", letter.forward_to)
        outbox.publisher().ask(lambda qstash: qstash.message.publish(**request))
    except (callback_urls.Unresolved, callback_urls.UnknownHost) as error:
        raise PublishUnavailable(str(error)) from None
    except (InvalidOption, PublishRefused) as error:
        about = {"jobId": letter.job_id, "url": letter.forward_to, "error": str(error)}
        log.error("[jobs] Failure callback rejected", extra=about)  # noqa: TRY400 - the message says it all
