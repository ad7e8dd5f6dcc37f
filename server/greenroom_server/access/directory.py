"""All tokens in memory: requests are authenticated here, without the database.

The change feed keeps it fresh. While the database is down the last known tokens go on working, expiry included:
an outage must not stop delivery, and a revocation cannot be made while the store is down either.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from time import monotonic
from typing import Any
from uuid import UUID

from greenroom_server.access.permissions import PERMISSIONS
from greenroom_server.access.principal import Principal
from greenroom_server.access.secrets import digest, kind_of
from greenroom_server.access.tables import TokenRow
from greenroom_server.clock import Clock
from greenroom_server.errors import Unauthenticated

_REMEMBERED = 10_000
_CATCH_UP_PAUSE_S = 0.1


@dataclass(frozen=True, slots=True)
class _Entry:
    secret_hash: bytes
    principal: Principal


class TokenDirectory:
    """Answers who holds a token. Only `catch_up` ever waits."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._by_hash: dict[bytes, Principal] = {}
        self._by_id: dict[UUID, Principal] = {}
        # Text -> principal, so that a request costs one dict lookup; emptied with every refresh.
        self._remembered: dict[str, Principal] = {}
        self._used: set[UUID] = set()
        self._refresher: Callable[[], Awaitable[None]] | None = None
        self._catching_up: asyncio.Task[None] | None = None
        self._caught_up_at = -_CATCH_UP_PAUSE_S
        self.revision = -1

    def __len__(self) -> int:
        return len(self._by_hash)

    def principal(self, token: str) -> Principal | None:
        """The holder of the token, or None if it is unknown, revoked or expired."""
        found = self._remembered.get(token)
        if found is None:
            if kind_of(token) is None:
                return None
            found = self._by_hash.get(digest(token))
            if found is None:
                return None
            if len(self._remembered) < _REMEMBERED:
                self._remembered[token] = found
        if found.expires_at is not None and found.expires_at <= self._clock.now():
            return None
        self._used.add(found.token_id)
        return found

    def is_valid(self, token_id: UUID) -> bool:
        """Whether the token still stands; open streams ask this again and again."""
        found = self._by_id.get(token_id)
        return found is not None and (found.expires_at is None or found.expires_at > self._clock.now())

    def by_id(self, token_id: UUID) -> Principal | None:
        """The holder of a valid token by the token's id (stream tokens carry it)."""
        return self._by_id.get(token_id) if self.is_valid(token_id) else None

    def authorize(
        self, credential: str | None, permission: str, project: str | None, environment: str | None
    ) -> Principal:
        """The principal, if it may do this here.

        Raises `Unauthenticated`, `Forbidden` (wrong kind) or `NotFound` (outside the token's projects, environments).
        """
        found = self.principal(credential) if credential else None
        if found is None:
            raise Unauthenticated
        found.require(permission)
        found.require_scope(project, environment)
        return found

    def refresh_with(self, refresher: Callable[[], Awaitable[None]]) -> None:
        """How `catch_up` reads the tokens anew; `refresher` must not raise and not wait long."""
        self._refresher = refresher

    async def catch_up(self, token: str | None) -> bool:
        """Look once more for a token that is unknown but well-formed: it may have been made a moment ago, elsewhere.

        Says whether it is known now. However many ask, the store is looked at ten times a second at most.
        """
        if self._refresher is None or token is None or kind_of(token) is None:
            return False
        if self._catching_up is None:
            self._catching_up = asyncio.create_task(self._catch_up(self._refresher))
        await asyncio.shield(self._catching_up)
        return self.principal(token) is not None

    async def _catch_up(self, refresher: Callable[[], Awaitable[None]]) -> None:
        pause_s = self._caught_up_at + _CATCH_UP_PAUSE_S - monotonic()
        if pause_s > 0:
            await asyncio.sleep(pause_s)
        self._caught_up_at = monotonic()
        self._catching_up = None  # who asks from now on may mean a token made after this look
        await refresher()

    def replace(self, revision: int, rows: Iterable[TokenRow]) -> None:
        """Take over the tokens as they stand at `revision`; `rows` are those not revoked."""
        self._take(revision, (_Entry(row.secret_hash, principal_of(row)) for row in rows))

    def take_used(self) -> set[UUID]:
        """The tokens used since the last call; they are written down together, not with each request."""
        used, self._used = self._used, set()
        return used

    def export(self) -> dict[str, Any]:
        """The directory as JSON, for the copy on disk: hashes only, never a token."""
        return {
            "revision": self.revision,
            "tokens": [{"hash": key.hex(), **_principal_to_json(found)} for key, found in self._by_hash.items()],
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take over what `export` gave. Raises KeyError, TypeError or ValueError and changes nothing if it is bad."""
        entries = [_Entry(bytes.fromhex(item["hash"]), _principal_from_json(item)) for item in state["tokens"]]
        self._take(int(state["revision"]), entries)

    def _take(self, revision: int, entries: Iterable[_Entry]) -> None:
        by_hash = {entry.secret_hash: entry.principal for entry in entries}
        self._by_hash = by_hash
        self._by_id = {found.token_id: found for found in by_hash.values()}
        self._remembered = {}
        self.revision = revision


def principal_of(row: TokenRow) -> Principal:
    """The principal that a stored token stands for."""
    return Principal(
        token_id=row.id,
        name=row.name,
        kind=row.kind,
        permissions=PERMISSIONS[row.kind],
        projects=_keys(row.projects),
        environments=_keys(row.environments),
        environment_id=row.environment_id,
        project_key=row.project_key,
        environment_key=row.environment_key,
        expires_at=row.expires_at,
        person=row.person,
        roles=frozenset(row.roles or ()),
    )


def _keys(keys: Iterable[str] | None) -> frozenset[str] | None:
    return None if keys is None else frozenset(keys)


def _principal_to_json(found: Principal) -> dict[str, Any]:
    return {
        "id": str(found.token_id),
        "name": found.name,
        "kind": found.kind,
        "projects": None if found.projects is None else sorted(found.projects),
        "environments": None if found.environments is None else sorted(found.environments),
        "environment_id": None if found.environment_id is None else str(found.environment_id),
        "project_key": found.project_key,
        "environment_key": found.environment_key,
        "expires_at": None if found.expires_at is None else found.expires_at.isoformat(),
        "person": found.person,
        "roles": sorted(found.roles),
    }


def _principal_from_json(item: Mapping[str, Any]) -> Principal:
    return Principal(
        token_id=UUID(item["id"]),
        name=item["name"],
        kind=item["kind"],
        permissions=PERMISSIONS[item["kind"]],
        projects=_keys(item["projects"]),
        environments=_keys(item["environments"]),
        environment_id=None if item["environment_id"] is None else UUID(item["environment_id"]),
        project_key=item["project_key"],
        environment_key=item["environment_key"],
        expires_at=None if item["expires_at"] is None else datetime.fromisoformat(item["expires_at"]),
        person=item.get("person"),  # copies of the version before have neither
        roles=frozenset(item.get("roles", ())),
    )
