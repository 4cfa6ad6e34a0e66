"""What can be counted, in a run of its own: statements, round trips, rows that were written, bytes.

A proxy stands between everything and PostgreSQL, so nothing of this run is timed. The workers wait
until all jobs are enqueued, so that it does not depend on who is faster either; and what ours notes
of a job a moment after its publish waits for its execution, which most often comes first.
"""

import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.peers.servers import Postgres, Redis
from benchmarks.peers.team import WARM_UP, Team
from benchmarks.support.wire import Wire

Counts = dict[str, float]
COUNTED = ("statements", "round_trips", "commits", "wal")


def count(team: Team, postgres: Postgres, redis: Redis | None, jobs: int) -> Counts:
    """Have a system execute no-op jobs, enqueued one by one, in a new database.

    Returns:
        Per job: `enqueue_…` and `execute_…` for each of COUNTED; bytes that are kept when it has
        ended (`table`, `indexes`, `redis`); and `updates`, `hot` (those that touched no index),
        `deletes`.
    """
    name = f"counted_{team.system.name}"
    url = postgres.create_database(name)
    team.setup(url)
    tables, memory = postgres.tables(name), _redis_bytes(redis)
    counts = _counted_on_the_wire(team, postgres, url, jobs)
    grown = postgres.tables(name)
    everything = jobs + WARM_UP
    counts |= {key: (grown[key] - tables[key]) / everything for key in grown}
    if team.system.needs_redis:
        counts["redis"] = (_redis_bytes(redis) - memory) / everything
    return counts


def _counted_on_the_wire(team: Team, postgres: Postgres, url: str, jobs: int) -> Counts:
    with Wire(postgres.port) as workers, Wire(postgres.port) as producer:

        def so_far(wire: Wire) -> Counter[str]:
            return wire.count + Counter(wal=postgres.wal())

        enqueued, executed = Counter[str](), Counter[str]()

        @contextmanager
        def workers_stopped() -> Iterator[None]:
            with team.workers_stopped():
                enqueued.subtract(so_far(producer))
                yield
                enqueued.update(so_far(producer))
                executed.subtract(so_far(workers))

        ways = [postgres.through(url, wire.port) for wire in (workers, producer)]
        with team.at_work(*ways, unhurried=True):
            team.execute("single", count=jobs, meanwhile=workers_stopped)
            executed.update(so_far(workers))
    parts = {"enqueue": enqueued, "execute": executed}
    return {f"{part}_{what}": parts[part][what] / jobs for part in parts for what in COUNTED}


def _redis_bytes(redis: Redis | None) -> int:
    if redis is None:
        return 0
    with socket.create_connection(("127.0.0.1", redis.port)) as connection:
        connection.sendall(b"INFO memory\r\n")
        said = connection.recv(65536).decode()
    return int(said.partition("used_memory:")[2].split()[0])
