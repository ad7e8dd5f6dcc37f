"""What delivery reads from the flags area: environments as documents, at one moment."""

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from greenroom_server.database.engine import Database
from greenroom_server.flags import service_publish as service


class StoredFlags:
    """One consistent look at the store (`delivery.sources.FlagReader`)."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def epoch(self) -> str:
        return await service.epoch(self._session)

    async def revisions(self, ids: Collection[UUID]) -> dict[UUID, int]:
        return await service.revisions(self._session, ids)

    async def load_environment(self, environment_id: UUID) -> dict[str, Any] | None:
        return await service.load_environment(self._session, environment_id)

    async def load_change(self, environment_id: UUID, since: int) -> dict[str, Any] | None:
        return await service.load_change(self._session, environment_id, since)


class FlagStore:
    """Opens looks at the store (`delivery.sources.FlagSource`)."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[StoredFlags]:
        async with self._database.reading() as session:
            yield StoredFlags(session)
