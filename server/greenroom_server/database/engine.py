"""The unit of work: one transaction on one connection, one commit at its end, and no wait without a limit.

Driver errors leave as `Unavailable` or `Conflict`. A server that hangs is treated as one that is down.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from weakref import WeakSet

import orjson
import structlog
from sqlalchemy import event, text
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.pool import QueuePool

from greenroom_server.database.connect import BoundedConnection, Timeouts, connect
from greenroom_server.database.translate import Busy, translated
from greenroom_server.errors import Unavailable

CHANNEL = "greenroom"
_RECYCLE_S = 1800
_ROLLBACK_S = 2.0
_GOODBYES_S = 1.0

log = structlog.get_logger(__name__)


class Database:
    """A pool of connections to one PostgreSQL; belongs to the event loop that uses it first."""

    def __init__(self, url: str, *, pool_size: int = 10, timeouts: Timeouts | None = None) -> None:
        self.url = url
        self.timeouts = timeouts or Timeouts()
        self._engine = create_async_engine(
            "postgresql+asyncpg://",
            async_creator=self._connect_pooled,
            pool_size=pool_size,
            max_overflow=0,
            pool_timeout=self.timeouts.acquire_s,
            pool_recycle=_RECYCLE_S,
            pool_use_lifo=True,
            hide_parameters=True,  # an error in the log must not quote what users wrote
            # `json` columns keep the text: the order of members, and 10.0 as 10.0.
            json_serializer=_write_json,
            json_deserializer=orjson.loads,
        )
        event.listen(self._engine.sync_engine, "checkout", _refuse_closed)
        self._reader = self._engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        self._opened: WeakSet[BoundedConnection] = WeakSet()
        self._closing: set[asyncio.Task[None]] = set()
        self._is_down = False

    async def connect(self, *, purpose: str = "greenroom") -> BoundedConnection:
        """A connection of its own, outside the pool; raises the driver's errors."""
        return await connect(self.url, self.timeouts, purpose=purpose)

    async def _connect_pooled(self) -> BoundedConnection:
        connection = await self.connect()
        self._opened.add(connection)
        return connection

    @asynccontextmanager
    async def transaction(self, *, dry_run: bool = False) -> AsyncIterator[AsyncSession]:
        """One writing transaction: committed when the block ends well, rolled back when it raises.

        A dry run does all but the commit. After `Unavailable` the outcome of a commit is unknown: send the request
        again with its `Idempotency-Key`. The session's own `commit` only flushes.
        """
        async with self._translating(), self._unit(self._engine) as (connection, session):
            yield session
            await session.commit()
            if not dry_run:
                await connection.commit()

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncSession]:
        """One state of the store for all statements of the block; nothing can be written."""
        async with self._translating(), self._unit(self._reader) as (_, session):
            yield session

    async def check_durability(self) -> list[str]:
        """Warns loudly if the server may forget what it acknowledged; the settings at fault.

        A server that calls itself disposable (`greenroom.disposable=on`, as the tests' does) is left in peace.
        """
        async with self.reading() as session:
            rows = await session.execute(
                text(
                    "SELECT name FROM pg_settings WHERE name IN ('fsync', 'full_page_writes', 'synchronous_commit')"
                    " AND setting = 'off' AND current_setting('greenroom.disposable', true) IS DISTINCT FROM 'on'"
                    " ORDER BY name"
                )
            )
            weak = [str(name) for name in rows.scalars()]
        for name in weak:
            log.error("PostgreSQL may lose acknowledged changes", setting=name, value="off", wanted="on")
        return weak

    @property
    def in_use(self) -> int:
        """How many of the pool's connections are at work."""
        pool = self._engine.pool
        return pool.checkedout() if isinstance(pool, QueuePool) else 0

    async def dispose(self) -> None:
        """Close all connections, within a second or so even if the server hangs."""
        try:
            async with asyncio.timeout(_GOODBYES_S):
                await asyncio.gather(*self._closing)
                await self._engine.dispose()
        except TimeoutError:
            await self._engine.dispose(close=False)
        for connection in list(self._opened):
            connection.terminate()  # type: ignore[no-untyped-call]  # does nothing to a closed one

    @asynccontextmanager
    async def _unit(self, engine: AsyncEngine) -> AsyncIterator[tuple[AsyncConnection, AsyncSession]]:
        connection = await self._open(engine)
        session = AsyncSession(bind=connection, expire_on_commit=False)
        try:
            yield connection, session
            async with asyncio.timeout(_ROLLBACK_S):
                await connection.rollback()  # nothing left to undo after a commit
                await connection.close()
        except (TimeoutError, OSError):
            await self._abandon(connection)
            raise
        except Exception:
            await self._undo(connection)
            raise
        except BaseException:
            await self._abandon(connection)
            raise
        finally:
            session.sync_session.expunge_all()

    async def _open(self, engine: AsyncEngine) -> AsyncConnection:
        connection = engine.connect()
        try:
            await connection.start()
            # The first statement opens the transaction; a server that hangs is found out here and not in the work.
            async with asyncio.timeout(self.timeouts.acquire_s):
                await connection.exec_driver_sql("SELECT 1")
        except BaseException:
            await self._abandon(connection)
            raise
        return connection

    async def _undo(self, connection: AsyncConnection) -> None:
        try:
            async with asyncio.timeout(_ROLLBACK_S):
                await connection.rollback()
                await connection.close()
        except BaseException as error:
            await self._abandon(connection)
            if not isinstance(error, Exception):
                raise

    async def _abandon(self, connection: AsyncConnection) -> None:
        """Throw the connection away: nobody knows what it is doing. Its place in the pool is free again at the end."""
        task = asyncio.create_task(_discard(connection))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)
        await asyncio.shield(task)  # a second cancellation must not leak the connection

    @asynccontextmanager
    async def _translating(self) -> AsyncIterator[None]:
        try:
            yield
        except Exception as error:
            known = translated(error)
            if known is None:
                raise
            if isinstance(known, Unavailable) and not isinstance(known, Busy) and not self._is_down:
                self._is_down = True
                log.warning("database unavailable", reason=f"{type(error).__name__}: {error}")
            raise known from error
        if self._is_down:
            self._is_down = False
            log.info("database available again")


async def announce(session: AsyncSession) -> None:
    """Tell every change feed, if and when this transaction commits, that there is something to read."""
    await session.execute(text("SELECT pg_notify(:channel, '')"), {"channel": CHANNEL})


async def _discard(connection: AsyncConnection) -> None:
    try:
        if connection.sync_connection is not None and not connection.closed:
            await connection.invalidate()
            await connection.close()
    except Exception as error:
        log.debug("closing a broken connection failed", reason=f"{type(error).__name__}: {error}")


def _refuse_closed(dbapi_connection: Any, _record: Any, _proxy: Any) -> None:
    # The pool then opens a new one in its place.
    if dbapi_connection.driver_connection.is_closed():
        raise DisconnectionError


def _write_json(value: Any) -> str:
    return orjson.dumps(value).decode()
