"""The flags area as delivery's source: one reading transaction per look."""

from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Protocol
from uuid import UUID

from greenroom_server.flags import service_served


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
    async def reading(self) -> AsyncIterator["StoredReader"]:
        async with self._database.reading() as session:
            yield StoredReader(session)


class StoredReader:
    """A `FlagReader` in a reading transaction that is open already."""

    def __init__(self, session: Any) -> None:
        self._session = session

    async def epoch(self) -> str:
        return await service_served.epoch(self._session)

    async def standing(self, ids: Collection[UUID]) -> tuple[str, Mapping[UUID, int]]:
        return await service_served.standing(self._session, ids)

    async def load_environment(self, environment_id: UUID) -> dict[str, Any] | None:
        return await service_served.load_environment(self._session, environment_id)

    async def load_change(self, environment_id: UUID, since: int) -> dict[str, Any] | None:
        return await service_served.load_change(self._session, environment_id, since)
