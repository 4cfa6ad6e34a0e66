"""A limit for each organization, user or value of a field: declared here, kept by QStash."""

from dataclasses import dataclass
from typing import Any

import pytest
from flask import Flask
from marshmallow import fields
from qstash import QStash

from app.db import db
from app.jobs import (
    DiscoveryError,
    FlowControl,
    JobBlueprint,
    PayloadSchema,
    batch,
    enqueue,
    enqueue_many,
    schedule,
    signature,
)
from app.jobs.message import Message
from app.jobs.operate import sweep
from tests.support.rows import row_of


@dataclass(frozen=True, slots=True)
class Order:
    customer_id: str
    token: str = ""
    lines: tuple[str, ...] = ()


class OrderSchema(PayloadSchema[Order]):
    model = Order

    customer_id = fields.String(required=True)
    token = fields.String(load_default="")
    lines = fields.List(fields.String(), load_default=())


LIMITS: dict[str, dict[str, Any]] = {
    "of-organization": {"per": "organization", "parallelism": 5, "rate": "10/s"},
    "of-user": {"per": "user", "rate": "100/5m"},
    "of-customer": {"per": "customer_id", "parallelism": 2},
}


@pytest.fixture(autouse=True)
def types(app: Flask) -> None:
    made = JobBlueprint("limited", __name__)
    for name, limit in LIMITS.items():
        made.job(name, f"/{name}", payload=OrderSchema, **limit)(lambda payload, job: None)  # noqa: ARG005 - as handlers take them
    app.register_blueprint(made)


def limit_of(job_id: str) -> dict[str, Any] | None:
    found: dict[str, Any] | None = row_of(job_id).options.get("flow_control")
    return found


def order(customer: str = "acme") -> dict[str, Any]:
    return {"customerId": customer}


def test_each_organization_and_each_user_has_a_key(published: list[Message]) -> None:
    known = enqueue("of-organization", order(), organization_id=7, user_id=3)
    unknown = enqueue("of-organization", order())

    rate = {"rate": 10, "period": 1, "parallelism": 5}
    assert limit_of(known) == {"key": "of-organization.organization.7", **rate}
    assert limit_of(unknown) == {"key": "of-organization.organization", **rate}
    assert limit_of(enqueue("of-user", order(), user_id=3)) == {
        "key": "of-user.user.3",
        "rate": 100,
        "period": 300,
    }
    sent = {message.job_id: message.options["flow_control"]["key"] for message in published}
    assert sent[known] == "of-organization.organization.7"


def test_each_value_of_a_field_has_a_key_in_many_and_in_batches(published: list[Message]) -> None:
    odd = "Ümlaut & Söhne " * 20
    names = ["acme", odd, "acme", "zeta"]

    ids = enqueue_many("of-customer", map(order, names))
    joined = enqueue_many("of-customer", map(order, names), session=db.session)
    db.session.commit()
    with batch("of customers") as made:
        batched = [made.enqueue(signature("of-customer", order(name))) for name in names]

    for found in (ids, joined, batched):
        keys = [(limit_of(one) or {})["key"] for one in found]
        assert keys[0] == keys[2] == "of-customer.customerId.acme"
        assert keys[3] == "of-customer.customerId.zeta"
        assert keys[1].isascii()
        assert len(keys[1]) < 64
    assert len(published) == 12


def test_what_a_call_asks_takes_its_place_and_a_publish_again_has_it(
    published: list[Message],
) -> None:
    own = enqueue("of-customer", order(), flow_control=FlowControl(key="own", rate=1))
    queued = enqueue("of-customer", order(), queue="mail")
    assert limit_of(own) == {"key": "own", "rate": 1}
    assert limit_of(queued) is None

    again = enqueue("of-customer", order())
    with db.engine.begin() as connection:
        connection.exec_driver_sql(
            "UPDATE job_executions SET published_at = NULL, message_id = NULL"
        )
    published.clear()
    sweep(grace=0)
    keys = {one.job_id: one.options.get("flow_control", {}).get("key") for one in published}
    assert keys[again] == "of-customer.customerId.acme"


def test_a_schedule_s_firings_have_it(qstash: QStash) -> None:
    schedule("of-organization", "0 3 * * *", order(), schedule_id="a", organization_id=7)
    schedule("of-customer", "0 3 * * *", order(), schedule_id="b")

    found = {one.schedule_id: one.flow_control for one in qstash.schedule.list()}
    limits = [(one.key.partition(".")[2], one.parallelism) for one in found.values() if one]
    assert sorted(limits) == [
        ("of-customer.customerId.acme", 2),
        ("of-organization.organization.7", 5),
    ]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"parallelism": 5}, "parallelism: of what\\? Add per='organization'"),
        ({"rate": "10/s"}, "rate: of what\\? Add per='organization'"),
        ({"per": "organization"}, "per: add parallelism=5, rate='10/s' or both"),
        ({"per": "organisation", "rate": "1/s"}, "did you mean: organization\\?"),
        ({"per": "lines", "rate": "1/s"}, "'lines' is neither an owner nor a field"),
        ({"per": "token", "rate": "1/s", "sealed": ("token",)}, "is not sealed"),
        ({"per": "user", "rate": "0.5/s"}, "it counts whole jobs: write one in a longer time"),
        ({"per": "user", "rate": "0/s"}, "to stop a type, pause it"),
        ({"per": "user", "rate": "5/0s"}, "at least one second"),
        ({"per": "user", "rate": "10/8d"}, "its longest period is a week"),
        ({"per": "user", "rate": 10}, "10 is not a rate; write how many may start"),
        ({"per": "user", "rate": "10/100ms"}, "'10/100ms' is not a rate"),
        ({"per": "user", "parallelism": 0}, "to stop a type, pause it"),
        ({"per": "user", "parallelism": 2.5}, "give a whole number from 1 to"),
        ({"per": "user", "parallelism": 10**12}, "give a whole number from 1 to 2147483647;"),
        ({"per": "user", "parallelism": 2, "queue": "mail"}, "QStash's queues know no limits"),
        (
            {"per": "user", "parallelism": 2, "flow_control": FlowControl(key="k", rate=1)},
            "a message of QStash's has one flow-control key",
        ),
    ],
)
def test_a_limit_that_qstash_cannot_keep_is_refused_where_it_stands(
    options: dict[str, Any], said: str
) -> None:
    bp = JobBlueprint("wrong", __name__)

    with pytest.raises(DiscoveryError, match=said) as refused:
        bp.job("wrong", "/wrong", payload=OrderSchema, **options)(lambda payload, job: None)  # noqa: ARG005 - likewise
    assert "job type 'wrong'" in str(refused.value)
    assert bp.job_types == []
