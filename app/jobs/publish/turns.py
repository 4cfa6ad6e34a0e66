"""Firings that wait for those before them (`overlap="queue"`): published when it is their turn."""

import logging

from ..errors import JobsError
from ..table import firings
from ..table.db import in_transaction
from . import relay
from .relay import Published

log = logging.getLogger(__name__)


def publish_next(schedule_id: str) -> Published:
    """Publish the run of a schedule whose turn it is, if any; never raises.

    A run whose end nobody acts upon, as its process died then, leaves that to the sweep.
    """
    try:
        return relay.publish(in_transaction(lambda tx: firings.release(tx, schedule_id)))
    except JobsError:
        log.exception("[jobs] Firing left to the sweep")
        return Published()
