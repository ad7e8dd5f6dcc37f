"""SQL straight to the driver, in a session's transaction: for what every change of a flag waits for.

asyncpg prepares each text once on each connection. A statement here neither sees what the session has not flushed nor
refreshes rows that the session holds. `json` comes out parsed and goes in as text.
"""

from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncSession

DRIVER: Final = "greenroom.driver"
"""Where a session of the unit of work keeps its asyncpg connection (`AsyncSession.info`)."""

Record = Mapping[str, Any]


async def fetch_all(session: AsyncSession, sql: str, *arguments: Any) -> list[Record]:
    """All rows; the arguments are `$1`, `$2`, …"""
    rows: list[Record] = await session.info[DRIVER].fetch(sql, *arguments)
    return rows


async def fetch_one(session: AsyncSession, sql: str, *arguments: Any) -> Record | None:
    """The first row, if any."""
    row: Record | None = await session.info[DRIVER].fetchrow(sql, *arguments)
    return row
