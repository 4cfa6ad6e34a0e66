"""What can be counted, in a run of its own: statements, round trips, rows that were written, bytes.

A proxy stands between everything and PostgreSQL, so nothing of this run is timed.
"""

import socket
from collections import Counter

from benchmarks.peers.servers import Postgres, Redis
from benchmarks.peers.team import WARM_UP, Team
from benchmarks.support.wire import Wire

Counts = dict[str, float]


def count(team: Team, postgres: Postgres, redis: Redis | None, jobs: int) -> Counts:
    """Have a system execute no-op jobs, enqueued one by one, in a new database.

    Returns:
        Per job: `enqueue_…` and `execute_…` for statements, round_trips and commits; `wal`; bytes
        that are kept when it has ended (`table`, `indexes`, `redis`); and `updates`, `hot` (those
        that touched no index), `deletes`.
    """
    name = f"counted_{team.system.name}"
    url = postgres.create_database(name)
    team.setup(url)
    tables, memory = postgres.tables(name), _redis_bytes(redis)
    with Wire(postgres.port) as workers, Wire(postgres.port) as producer:
        ways = [postgres.through(url, wire.port) for wire in (workers, producer)]
        with team.at_work(*ways):
            enqueued: Counter[str] = Counter()
            executed, sent, wal = Counter(workers.count), Counter(producer.count), postgres.wal()
            team.execute("single", count=jobs, when_sent=lambda: enqueued.update(producer.count))
            counts: Counts = {"wal": (postgres.wal() - wal) / jobs}
            for what in ("statements", "round_trips", "commits"):
                counts[f"enqueue_{what}"] = (enqueued[what] - sent[what]) / jobs
                counts[f"execute_{what}"] = (workers.count[what] - executed[what]) / jobs
    everything = jobs + WARM_UP
    grown = postgres.tables(name)
    counts |= {key: (grown[key] - tables[key]) / everything for key in grown}
    if team.system.needs_redis:
        counts["redis"] = (_redis_bytes(redis) - memory) / everything
    return counts


def _redis_bytes(redis: Redis | None) -> int:
    if redis is None:
        return 0
    with socket.create_connection(("127.0.0.1", redis.port)) as connection:
        connection.sendall(b"INFO memory\r\n")
        said = connection.recv(65536).decode()
    return int(said.partition("used_memory:")[2].split()[0])
