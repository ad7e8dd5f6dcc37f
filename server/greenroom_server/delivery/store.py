"""The flags area as delivery's source: one reading transaction per look."""

from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Protocol
from uuid import UUID

from greenroom_server.flags import service_publish


class Readable(Protocol):
    """The store; `database.engine.Database` is one."""

    def reading(self) -> AbstractAsyncContextManager[Any]:
        """A session that sees one state of the database throughout."""
        ...


class StoredFlags:
    """A `FlagSource` over the database."""

    def __init__(self, database: Readable) -> None:
        self._database = database

    @asynccontextmanager
    async def reading(self) -> AsyncIterator["_StoredReader"]:
        async with self._database.reading() as session:
            yield _StoredReader(session)


class _StoredReader:
    def __init__(self, session: Any) -> None:
        self._session = session

    async def epoch(self) -> str:
        return await service_publish.epoch(self._session)

    async def revisions(self, ids: Collection[UUID]) -> Mapping[UUID, int]:
        return await service_publish.revisions(self._session, ids)

    async def load_environment(self, environment_id: UUID) -> dict[str, Any] | None:
        return await service_publish.load_environment(self._session, environment_id)

    async def load_change(self, environment_id: UUID, since: int) -> dict[str, Any] | None:
        return await service_publish.load_change(self._session, environment_id, since)
