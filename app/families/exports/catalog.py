"""The entities that can be exported. A new one is one declaration here.

Secrets and bulk are left out: payloads, results and attempts of jobs, webhooks' bodies and headers.
"""

from sqlalchemy import Text, case, cast, exists

from app.accounts.ids import is_owner
from app.accounts.models import ROLES, ActivityLog, Membership, Organization, User
from app.accounts.subscription_facts import STATUSES
from app.families.exports.entity import Entity, Filter, columns, nearest
from app.families.webhooks.models import WebhookEvent
from app.jobs import JobExecution, Status

USERS = Entity(
    name="users",
    key=User.id,
    created=User.created_at,
    columns=columns(User.id, User.email, User.name, User.created_at, User.updated_at),
    visible_to=lambda organization_id: exists().where(
        Membership.user_id == User.id, is_owner(Membership.organization_id, organization_id)
    ),
    filters={"email": Filter(User.email)},
)

ORGANIZATIONS = Entity(
    name="organizations",
    key=Organization.id,
    created=Organization.created_at,
    columns=columns(
        Organization.id,
        Organization.name,
        Organization.plan_name,
        Organization.subscription_status,
        Organization.stripe_customer_id,
        Organization.created_at,
        Organization.updated_at,
    ),
    visible_to=lambda organization_id: is_owner(Organization.id, organization_id),
    filters={
        "status": Filter(Organization.subscription_status, STATUSES),
        "plan": Filter(Organization.plan_name),
    },
)

MEMBERSHIPS = Entity(
    name="memberships",
    key=Membership.id,
    created=Membership.created_at,
    columns=columns(
        Membership.id,
        Membership.organization_id,
        Membership.user_id,
        Membership.role,
        Membership.created_at,
    ),
    visible_to=lambda organization_id: is_owner(Membership.organization_id, organization_id),
    filters={"userId": Filter(Membership.user_id), "role": Filter(Membership.role, ROLES)},
)

# The current subscription of each organization; its start counts as its creation.
SUBSCRIPTIONS = Entity(
    name="subscriptions",
    key=Organization.id,
    created=Organization.subscribed_at,
    where=Organization.stripe_subscription_id.is_not(None),
    columns=columns(
        organization_id=Organization.id,
        organization_name=Organization.name,
        stripe_subscription_id=Organization.stripe_subscription_id,
        stripe_product_id=Organization.stripe_product_id,
        plan=Organization.plan_name,
        status=Organization.subscription_status,
        monthly_amount=Organization.monthly_amount,
        currency=Organization.currency,
        subscribed_at=Organization.subscribed_at,
        unsubscribed_at=Organization.unsubscribed_at,
        current_period_end=Organization.current_period_end,
        cancel_at=Organization.cancel_at,
    ),
    visible_to=lambda organization_id: is_owner(Organization.id, organization_id),
    filters={
        "status": Filter(Organization.subscription_status, STATUSES),
        "plan": Filter(Organization.plan_name),
        "currency": Filter(Organization.currency),
    },
)

ACTIVITY_LOGS = Entity(
    name="activity-logs",
    key=ActivityLog.id,
    created=ActivityLog.created_at,
    columns=columns(
        ActivityLog.id,
        ActivityLog.organization_id,
        ActivityLog.user_id,
        ActivityLog.action,
        ActivityLog.details,
        ActivityLog.ip_address,
        ActivityLog.created_at,
    ),
    visible_to=lambda organization_id: is_owner(ActivityLog.organization_id, organization_id),
    filters={"userId": Filter(ActivityLog.user_id), "action": Filter(ActivityLog.action)},
)

_FAILED = JobExecution.status == Status.FAILED
#: A job's status, with failed ones that will be tried again told apart from dead ones.
STATE = case(
    (_FAILED & JobExecution.dead_at.is_not(None), "dead"),
    (_FAILED, "retrying"),
    else_=cast(JobExecution.status, Text),
)
STATES = ("pending", "processing", "retrying", "dead", "completed", "cancelled")

JOB_EXECUTIONS = Entity(
    name="job-executions",
    key=JobExecution.id,
    created=JobExecution.created_at,
    columns=columns(
        JobExecution.id,
        JobExecution.job_id,
        JobExecution.job_type,
        JobExecution.status,
        JobExecution.error,
        JobExecution.retry_count,
        JobExecution.user_id,
        JobExecution.organization_id,
        JobExecution.created_at,
        JobExecution.started_at,
        JobExecution.completed_at,
        JobExecution.dead_at,
    ),
    visible_to=lambda organization_id: JobExecution.organization_id == organization_id,
    filters={
        "status": Filter(JobExecution.status, tuple(Status)),
        "state": Filter(STATE, STATES),
        "jobType": Filter(JobExecution.job_type),
        "userId": Filter(JobExecution.user_id),
    },
)

# An event belongs to an organization through its job.
WEBHOOK_EVENTS = Entity(
    name="webhook-events",
    key=WebhookEvent.id,
    created=WebhookEvent.received_at,
    columns=columns(
        WebhookEvent.id,
        WebhookEvent.source,
        WebhookEvent.event,
        WebhookEvent.delivery_id,
        WebhookEvent.verified,
        WebhookEvent.ip_address,
        WebhookEvent.job_id,
        WebhookEvent.received_at,
    ),
    visible_to=lambda organization_id: exists().where(
        JobExecution.job_id == WebhookEvent.job_id,
        JobExecution.organization_id == organization_id,
    ),
    filters={"source": Filter(WebhookEvent.source), "event": Filter(WebhookEvent.event)},
)

ENTITIES = {
    entity.name: entity
    for entity in (
        USERS,
        ORGANIZATIONS,
        MEMBERSHIPS,
        SUBSCRIPTIONS,
        ACTIVITY_LOGS,
        JOB_EXECUTIONS,
        WEBHOOK_EVENTS,
    )
}


def get_entity(name: str) -> Entity:
    """Return an entity.

    Raises:
        ValidationError: Unknown name; the message suggests the nearest.
    """
    entity: Entity = nearest(ENTITIES, (name,), "entity")[0]
    return entity
