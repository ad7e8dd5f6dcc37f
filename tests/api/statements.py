"""Which statements PostgreSQL is asked."""

import asyncio

from sqlalchemy import event

from greenroom_server.database.direct import DRIVER
from greenroom_server.database.engine import Database


class Asked:
    """The statements of a pool of one connection since the last look."""

    def __init__(self) -> None:
        self._heard: list[str] = []

    def hear(self, statement: str) -> None:
        self._heard.append(statement)

    async def since(self) -> list[str]:
        await asyncio.sleep(0)  # the driver tells of a statement in the loop's next turn
        heard, self._heard = self._heard, []
        return heard


async def listening_to(opened: Database) -> Asked:
    asked = Asked()
    async with opened.reading() as session:
        session.info[DRIVER].add_query_logger(lambda record: asked.hear(record.query))
        # What comes over SQLAlchemy is prepared by it, and the driver keeps quiet about that.
        engine = (await session.connection()).sync_engine
        event.listen(engine, "before_cursor_execute", lambda *told: asked.hear(told[2]))
    await asked.since()
    return asked
