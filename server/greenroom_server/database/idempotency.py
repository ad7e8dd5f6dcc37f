"""Answers to `Idempotency-Key`s, stored in the transaction of their effects and kept for a day."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from sqlalchemy import delete, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from greenroom_server.clock import Clock
from greenroom_server.database.tables import IdempotencyKeyRow as Row
from greenroom_server.database.translate import sqlstate_of
from greenroom_server.errors import Conflict

KEPT_FOR = timedelta(hours=24)
_LOCK_NOT_AVAILABLE = "55P03"


class Reply(Protocol):
    """What there is to remember of an answer."""

    @property
    def status(self) -> int: ...
    @property
    def headers(self) -> Mapping[str, str]: ...
    @property
    def body(self) -> bytes: ...


@dataclass(frozen=True, slots=True)
class RememberedReply:
    """An answer that was given before, and the fingerprint of what was asked."""

    fingerprint: str
    status: int
    headers: Mapping[str, str]
    body: bytes


class SqlIdempotencyStore:
    """The table `idempotency_key`."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    async def find(self, session: AsyncSession, scope: str, key: str) -> RememberedReply | None:
        """The reply committed under this key. Until this transaction ends, no other one can use the key.

        Raises `Conflict` if the transaction that is using it takes too long.
        """
        try:
            await session.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": _number_of(scope, key)})
        except DBAPIError as error:
            if sqlstate_of(error) != _LOCK_NOT_AVAILABLE:
                raise
            raise Conflict("a request with this `Idempotency-Key` is still being served", code="key_in_use") from error
        oldest = self._clock.now() - KEPT_FOR
        found = await session.execute(
            select(col(Row.fingerprint), col(Row.status), col(Row.headers), col(Row.body)).where(
                col(Row.scope) == scope, col(Row.key) == key, col(Row.created_at) > oldest
            )
        )
        row = found.one_or_none()
        return None if row is None else RememberedReply(*row)

    async def save(self, session: AsyncSession, scope: str, key: str, fingerprint: str, reply: Reply) -> None:
        """Remember the reply; raises `Conflict` if another one is remembered, and then nothing may commit."""
        now = self._clock.now()
        content = {
            "fingerprint": fingerprint,
            "status": reply.status,
            "headers": dict(reply.headers),
            "body": reply.body,
            "created_at": now,
        }
        stored = await session.execute(
            insert(Row)
            .values(scope=scope, key=key, **content)
            .on_conflict_do_update(
                index_elements=["scope", "key"], set_=content, where=col(Row.created_at) <= now - KEPT_FOR
            )
            .returning(col(Row.key))
        )
        if stored.one_or_none() is None:
            raise Conflict("this `Idempotency-Key` was used a moment ago", code="key_in_use")

    async def prune(self, session: AsyncSession) -> int:
        """Forget what is older than a day; how many there were."""
        old = col(Row.created_at) <= self._clock.now() - KEPT_FOR
        gone = await session.execute(delete(Row).where(old).returning(col(Row.key)))
        return len(gone.all())


def _number_of(scope: str, key: str) -> int:
    digest = hashlib.sha256(f"{scope}\0{key}".encode()).digest()
    return int.from_bytes(digest[:8], signed=True)
