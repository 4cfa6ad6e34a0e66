"""URL groups: one publish, a message to each endpoint. On the wire they are called topics."""

import json
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from ..clock import Clock
from ..protocol.headers import Pair
from ..settings import Limits
from ..store.store import Store
from .usage import check_number

Endpoint = dict[str, str]  # url, and name if it has one


@dataclass(slots=True)
class UrlGroup:
    """A group as kept in memory and on disk; times in unix ms."""

    name: str
    created_at: int
    updated_at: int
    endpoints: list[Endpoint] = field(default_factory=list)
    headers: dict[str, list[str]] = field(default_factory=dict)  # defaults for publishes to it


class UrlGroups:
    """The URL groups of one server."""

    def __init__(self, clock: Clock, store: Store, limits: Limits) -> None:
        self._clock, self._store, self._limits = clock, store, limits
        self.groups: dict[str, UrlGroup] = {}

    def load(self, connection: sqlite3.Connection) -> None:
        for row in connection.execute("SELECT * FROM url_groups"):
            self.groups[row["name"]] = UrlGroup(
                row["name"],
                row["created_at"],
                row["updated_at"],
                json.loads(row["endpoints"]),
                json.loads(row["headers"]),
            )

    def knows(self, name: str) -> bool:
        return name in self.groups

    def endpoints(self, name: str) -> list[Endpoint]:
        return self.groups[name].endpoints

    def with_defaults(self, name: str, pairs: tuple[Pair, ...]) -> tuple[Pair, ...]:
        """Add the group's default headers to those of a publish, which come first."""
        given = {key for key, _ in pairs}
        defaults = [
            (key.lower(), value)
            for key, values in self.groups[name].headers.items()
            for value in values
            if key.lower() not in given
        ]
        return (*pairs, *defaults)

    async def add(self, name: str, endpoints: Iterable[Endpoint]) -> None:
        """Add endpoints, or replace those with the same URL or name; creates the group.

        Raises:
            ApiError: 412, there are too many groups.
        """
        if name not in self.groups:
            check_number("maxUrlGroups", len(self.groups), self._limits.url_groups)
        group = self._copy(name)
        for endpoint in endpoints:
            group.endpoints = [old for old in group.endpoints if not _same(old, endpoint)]
            group.endpoints.append(endpoint)
        await self._save(group)

    async def remove(self, name: str, endpoints: Iterable[Endpoint]) -> None:
        """Remove endpoints by URL or name; a group goes with its last one."""
        group = self._copy(name)
        for endpoint in endpoints:
            group.endpoints = [old for old in group.endpoints if not _same(old, endpoint)]
        await (self._save(group) if group.endpoints else self.delete(name))

    async def set_headers(self, name: str, headers: dict[str, list[str]]) -> None:
        group = self._copy(name)
        group.headers = headers
        await self._save(group)

    async def delete(self, name: str) -> None:
        await self._store.run(
            lambda db: db.execute("DELETE FROM url_groups WHERE name = ?", (name,))
        )
        self.groups.pop(name, None)

    def _copy(self, name: str) -> UrlGroup:
        now = self._clock.now()
        old = self.groups.get(name, UrlGroup(name, now, now))
        return UrlGroup(name, old.created_at, now, list(old.endpoints), dict(old.headers))

    async def _save(self, group: UrlGroup) -> None:
        row: tuple[Any, ...] = (
            group.name,
            json.dumps(group.endpoints),
            json.dumps(group.headers),
            group.created_at,
            group.updated_at,
        )
        await self._store.run(
            lambda db: db.execute("INSERT OR REPLACE INTO url_groups VALUES (?, ?, ?, ?, ?)", row)
        )
        self.groups[group.name] = group


def _same(one: Endpoint, other: Endpoint) -> bool:
    by_url = "url" in other and one["url"] == other["url"]
    return by_url or ("name" in other and one.get("name") == other["name"])
