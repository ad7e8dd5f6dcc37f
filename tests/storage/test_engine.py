"""The unit of work on a real PostgreSQL."""

import pytest
from sqlalchemy import text

from greenroom_server.database.engine import Database


@pytest.mark.asyncio
async def test_a_block_that_ends_well_is_committed(database: Database) -> None:
    """What was written is there for the next transaction."""
    async with database.transaction() as session:
        await session.execute(text("CREATE TABLE thing AS SELECT 1 AS id"))

    async with database.reading() as session:
        assert await session.scalar(text("SELECT id FROM thing")) == 1
