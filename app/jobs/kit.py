"""Tools for extending an app with jobs: families that have tables, pages or an API.

For commands, see `app.jobs.cli.kit`.
"""

from . import durations, log_fields
from .any_host import AnyHostBlueprint
from .batches.workflow import LONGEST_EVENT
from .context import current_job
from .deadline import raise_if_due
from .enqueue.terms import MAX_KEY_LENGTH
from .execute.shutdown import at_sigterm
from .extension import forget_connections
from .payload import sealing
from .payload.masking import hidden
from .payload.redaction import remember
from .registry import registry_of
from .request_id import request_id_if_any
from .schemas import camel_case
from .settings import DEFAULTS
from .settings import check as check_setting
from .table.db import in_transaction, translate_database_errors
from .values import jsonb
from .values.backoff import MAX_LENGTH as LONGEST_EXPRESSION
from .values.ids import (
    MAX_LENGTH,
    MAX_NUMBER,
    JobIdField,
    OwnerId,
    OwnerIdColumn,
    OwnerIdField,
    OwnerIdQueryField,
    id_type,
    is_uuid,
    parse_owner_id,
)
from .values.nearest import hint
from .values.options import LONGEST_NAME, LONGEST_PERIOD, LONGEST_URL, MOST_RETRIES, parse_duration
from .values.tags import LONGEST as LONGEST_TAG
from .values.tags import MOST as MOST_TAGS
from .values.tags import parse_tag
from .values.urls import ascii_address, ascii_host, ascii_url

__all__ = [
    "DEFAULTS",
    "LONGEST_EVENT",
    "LONGEST_EXPRESSION",
    "LONGEST_NAME",
    "LONGEST_PERIOD",
    "LONGEST_TAG",
    "LONGEST_URL",
    "MAX_KEY_LENGTH",
    "MAX_LENGTH",
    "MAX_NUMBER",
    "MOST_RETRIES",
    "MOST_TAGS",
    "AnyHostBlueprint",
    "JobIdField",
    "OwnerId",
    "OwnerIdColumn",
    "OwnerIdField",
    "OwnerIdQueryField",
    "ascii_address",
    "ascii_host",
    "ascii_url",
    "at_sigterm",
    "camel_case",
    "check_setting",
    "current_job",
    "durations",
    "forget_connections",
    "hidden",
    "hint",
    "id_type",
    "in_transaction",
    "is_uuid",
    "jsonb",
    "log_fields",
    "parse_duration",
    "parse_owner_id",
    "parse_tag",
    "raise_if_due",
    "registry_of",
    "remember",
    "request_id_if_any",
    "sealing",
    "translate_database_errors",
]
