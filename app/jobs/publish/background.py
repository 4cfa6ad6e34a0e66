"""Publishing in a separate thread: an enqueue then costs only its INSERT, QStash's batch the rest.

For as long as a job waits here its row is pending and unpublished, so a crash loses nothing: the
sweep publishes it.
"""

import atexit
import logging
import os
from collections.abc import Iterable, Iterator
from queue import Empty, Full, Queue
from threading import Lock, Thread

from flask import Flask

from ..message import Message
from . import outbox
from .qstash import Publisher

log = logging.getLogger(__name__)

CAPACITY = 10_000
#: Seconds to wait for more jobs to share a request with.
LINGER = 0.005

_STOP = None


class BackgroundPublisher:
    """A queue and a thread, started by the first job after a fork and drained at the end."""

    def __init__(self, app: Flask, *, grace: float) -> None:
        self._app = app
        self._grace = grace
        self._lock = Lock()
        self._pid = 0
        self._queue: Queue[Message | None]
        self._thread: Thread

    def put(self, messages: Iterable[Message]) -> None:
        """Hand over jobs that are committed; what does not fit is left to the sweep."""
        self._start_once()
        left = []
        for message in messages:
            try:
                self._queue.put_nowait(message)
            except Full:
                left.append(message.job_id)
        if left:
            about = {"count": len(left), "jobId": left[0]}
            log.warning("[jobs] Jobs left to the sweep", extra=about)

    def close(self) -> None:
        """Publish what waits, for as long as the grace period lasts."""
        if self._pid == os.getpid() and self._thread.is_alive():
            self._queue.put(_STOP)
            self._thread.join(self._grace)

    def _start_once(self) -> None:
        with self._lock:
            if self._pid == os.getpid() and self._thread.is_alive():
                return
            self._pid = os.getpid()
            self._queue = Queue(CAPACITY)
            self._thread = Thread(target=self._run, name="jobs-publisher", daemon=True)
            self._thread.start()
            atexit.register(self.close)

    def _run(self) -> None:
        with self._app.app_context():
            for batch in self._batches():
                try:
                    outbox.publish_batch(batch)
                except Exception:
                    # The thread must outlive anything; the rows are pending still.
                    log.exception("[jobs] Jobs left to the sweep")
            outbox.notes().flush()

    def _batches(self) -> Iterator[list[Message]]:
        """Yield what came within `LINGER` of the first, until told to stop."""
        while (message := self._queue.get()) is not _STOP:
            batch = [message]
            stop = False
            while len(batch) < Publisher.BATCH and not stop:
                try:
                    following = self._queue.get(timeout=LINGER)
                except Empty:
                    break
                stop = following is _STOP
                if following is not _STOP:
                    batch.append(following)
            yield batch
            if stop:
                return
