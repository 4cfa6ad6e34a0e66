"""Dramatiq: the queue is in Redis, and so are the results, which it keeps for ten minutes."""

import os
from contextlib import AbstractContextManager, nullcontext

import dramatiq
import handler
from dramatiq.brokers.redis import RedisBroker
from dramatiq.results import Results
from dramatiq.results.backends import RedisBackend
from producer import Job

results = RedisBackend(url=f"{os.environ['BENCH_REDIS']}/3")
broker = RedisBroker(url=f"{os.environ['BENCH_REDIS']}/2")
broker.add_middleware(Results(backend=results, store_results=True))
dramatiq.set_broker(broker)


@dramatiq.actor(queue_name="bench", actor_name="bench")
def bench(sent: int, wait: float, pad: str) -> dict[str, bool]:  # noqa: ARG001 - ballast
    return handler.run(sent, wait)


broker.declare_queue("parked")


def setup() -> None:
    """Do nothing: Redis has no tables."""


def context() -> AbstractContextManager[object]:
    return nullcontext()


def _message(job: Job, parked: bool) -> dramatiq.Message:  # noqa: FBT001 - as below
    message = bench.message(**job._asdict())
    return message.copy(queue_name="parked") if parked else message


def send(job: Job, parked: bool) -> None:  # noqa: FBT001 - as all systems have it
    broker.enqueue(_message(job, parked))


def send_many(jobs: list[Job], parked: bool) -> None:  # noqa: FBT001 - likewise
    """Send a group: Dramatiq has no call that sends several messages at once."""
    dramatiq.group([_message(job, parked) for job in jobs]).run()


def recorded() -> int:
    count: int = results.client.dbsize()
    return count
