"""What the delivery tests share: a source in memory that can fail, keys, a clock to move, and all of delivery."""

from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx

from greenroom_server.access.permissions import PERMISSIONS
from greenroom_server.access.principal import Principal
from greenroom_server.delivery.disk import DiskCopies
from greenroom_server.delivery.service import Delivery, DeliveryOptions
from greenroom_server.errors import Unavailable

ON_OFF = {"on": True, "off": False}


def flag(key: str, **members: Any) -> dict[str, Any]:
    """A boolean flag that is on for everybody."""
    return {
        "key": key,
        "type": "boolean",
        "variants": ON_OFF,
        "client_visible": False,
        "track_exposures": "counts",
        "version": 1,
        "enabled": True,
        "off_variant": "off",
        "prerequisites": [],
        "rules": [],
        "fallthrough": {"variant": "on"},
    } | members


def valued(key: str, kind: str, value: Any, **members: Any) -> dict[str, Any]:
    """A flag of another type that serves this value to everybody."""
    return flag(
        key,
        type=kind,
        variants={"only": value, "off": value},
        fallthrough={"variant": "only"},
        **members,
    )


def rule(serve: str, attribute: str, *values: Any, op: str = "in", **members: Any) -> dict[str, Any]:
    """A rule that serves a variant where the attribute has one of the values."""
    when = {"attribute": attribute, "op": op, "values": list(values)}
    return {"id": f"r-{serve}", "when": when, "serve": {"variant": serve}} | members


def segment(key: str, attribute: str, *values: Any) -> dict[str, Any]:
    return {"key": key, "when": {"attribute": attribute, "op": "in", "values": list(values)}, "version": 1}


@dataclass
class Site:
    """One environment of the source."""

    project: str
    environment: str
    revision: int = 1
    flags: dict[str, Any] = field(default_factory=dict)
    segments: dict[str, Any] = field(default_factory=dict)
    log: dict[int, tuple[set[str], set[str]]] = field(default_factory=dict)
    schema: int = 1

    def put(
        self, *flags: dict[str, Any], segments: Collection[dict[str, Any]] = (), removed: Collection[str] = ()
    ) -> int:
        """The next revision, with these in place."""
        self.flags.update({one["key"]: one for one in flags})
        self.segments.update({one["key"]: one for one in segments})
        for key in removed:
            self.flags.pop(key, None)
        self.revision += 1
        self.log[self.revision] = ({one["key"] for one in flags} | set(removed), {one["key"] for one in segments})
        return self.revision


@dataclass
class Source:
    """A `FlagSource` in memory."""

    sites: dict[UUID, Site] = field(default_factory=dict)
    store_epoch: str = "first"
    is_down: bool = False
    looks: int = 0
    loads: int = 0
    changes: int = 0

    def add(self, project: str = "shop", environment: str = "production", *flags: dict[str, Any]) -> tuple[UUID, Site]:
        site = Site(project, environment)
        site.flags.update({one["key"]: one for one in flags})
        environment_id = uuid4()
        self.sites[environment_id] = site
        return environment_id, site

    @asynccontextmanager
    async def reading(self) -> AsyncIterator["Source"]:
        self.looks += 1
        if self.is_down:
            raise Unavailable
        yield self

    async def epoch(self) -> str:
        return self.store_epoch

    async def standing(self, ids: Collection[UUID]) -> tuple[str, Mapping[UUID, int]]:
        return self.store_epoch, {id_: self.sites[id_].revision for id_ in ids if id_ in self.sites}

    async def load_environment(self, environment_id: UUID) -> dict[str, Any] | None:
        self.loads += 1
        site = self.sites.get(environment_id)
        if site is None:
            return None
        return _head(site) | {"revision": site.revision, "flags": dict(site.flags), "segments": dict(site.segments)}

    async def load_change(self, environment_id: UUID, since: int) -> dict[str, Any] | None:
        self.changes += 1
        site = self.sites[environment_id]
        if any(revision not in site.log for revision in range(since + 1, site.revision + 1)):
            return None
        flags = {key for at, (keys, _) in site.log.items() if at > since for key in keys}
        segments = {key for at, (_, keys) in site.log.items() if at > since for key in keys}
        return _head(site) | {
            "from": since,
            "to": site.revision,
            "flags": _difference(site.flags, flags),
            "segments": _difference(site.segments, segments),
        }


def _head(site: Site) -> dict[str, Any]:
    published_at = "2026-11-23T05:00:00.000Z"
    return {
        "schema": site.schema,
        "project": site.project,
        "environment": site.environment,
        "published_at": published_at,
    }


def _difference(documents: dict[str, Any], keys: set[str]) -> dict[str, Any]:
    return {
        "put": {key: documents[key] for key in sorted(keys) if key in documents},
        "removed": sorted(key for key in keys if key not in documents),
    }


@dataclass
class Clock:
    """Stands still until it is moved."""

    at: datetime = datetime(2026, 11, 23, 5, 0, tzinfo=UTC)

    def now(self) -> datetime:
        return self.at

    def move(self, **by: float) -> None:
        self.at += timedelta(**by)


class Keys:
    """An `Authenticator` in memory."""

    def __init__(self) -> None:
        self._by_token: dict[str, Principal] = {}

    def add(self, token: str, kind: str, environment_id: UUID | None) -> Principal:
        made = Principal(uuid4(), token, kind, PERMISSIONS[kind], environment_id=environment_id)
        self._by_token[token] = made
        return made

    def revoke(self, token: str) -> None:
        del self._by_token[token]

    async def catch_up(self, token: str | None) -> bool:
        return False

    def principal(self, token: str) -> Principal | None:
        return self._by_token.get(token)

    def by_id(self, token_id: UUID) -> Principal | None:
        return next((found for found in self._by_token.values() if found.token_id == token_id), None)


class Stage:
    """All of delivery over one environment, `shop/production`, with the keys `server`, `client` and `admin`."""

    def __init__(self, *flags: dict[str, Any], folder: Path | None = None, **options: Any) -> None:
        self.clock = Clock()
        self.keys = Keys()
        self.source = Source()
        self.folder = folder
        self.environment_id, self.site = self.source.add("shop", "production", *flags)
        for kind in ("server", "client"):
            self.keys.add(kind, kind, self.environment_id)
        self.keys.add("admin", "admin", None)
        self.delivery = self.another(**options)

    def another(self, *, installation: str = "installation-1", **options: Any) -> Delivery:
        """One more server process over the same source, keys and disk."""
        copies = None if self.folder is None else DiskCopies(self.folder, installation)
        return Delivery(
            self.source,
            self.keys,
            clock=self.clock,
            stream_secret=b"a secret of this installation",
            copies=copies,
            options=DeliveryOptions(**options),
        )

    def client(self, token: str | None = "server", **headers: str) -> httpx.AsyncClient:
        """An HTTP client with a key, in the same process."""
        given = {} if token is None else {"Authorization": f"Bearer {token}"}
        return httpx.AsyncClient(
            transport=httpx.ASGITransport(self.delivery.hot_paths),
            base_url="http://server.example",
            headers=given | headers,
        )

    async def evaluate(self, key: str, context: Any = None, *, token: str | None = "server") -> httpx.Response:
        async with self.client(token) as client:
            return await client.post(f"/ofrep/v1/evaluate/flags/{key}", json={"context": context or {}})

    async def evaluate_all(
        self, context: Any = None, *, token: str | None = "server", query: str = "", **headers: str
    ) -> httpx.Response:
        async with self.client(token, **{name.replace("_", "-"): value for name, value in headers.items()}) as client:
            return await client.post(f"/ofrep/v1/evaluate/flags{query}", json={"context": context or {}})

    async def snapshot(self, *, token: str | None = "server", **headers: str) -> httpx.Response:
        async with self.client(token, **{name.replace("_", "-"): value for name, value in headers.items()}) as client:
            return await client.get("/api/v1/sdk/snapshot")
