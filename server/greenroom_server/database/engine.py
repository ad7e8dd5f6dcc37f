"""The unit of work: one transaction on one connection, one commit at its end, and no wait without a limit.

Driver errors leave as `Unavailable` or `Conflict`. A server that hangs is treated as one that is down.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Final
from weakref import WeakSet

import orjson
import structlog
from sqlalchemy import event, text
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession, create_async_engine
from sqlalchemy.pool import QueuePool

from greenroom_server.database.connect import BoundedConnection, Timeouts, connect
from greenroom_server.database.direct import DRIVER, Record
from greenroom_server.database.translate import Busy, translated
from greenroom_server.errors import GreenroomError, Unavailable

CHANNEL = "greenroom"
_BEGIN: Final = "BEGIN"
_BEGIN_READING: Final = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
_IS_ANNOUNCED: Final = "greenroom.is_announced"
_KEPT_ANYWAY: Final = "greenroom.kept_anyway"
_IS_DRY_RUN: Final = "greenroom.is_dry_run"
_RECYCLE_S = 1800
_ROLLBACK_S = 2.0
_GOODBYES_S = 1.0

log = structlog.get_logger(__name__)


class Database:
    """A pool of connections to one PostgreSQL; belongs to the event loop that uses it first."""

    def __init__(self, url: str, *, pool_size: int = 10, timeouts: Timeouts | None = None) -> None:
        self.url = url
        self.carried: dict[str, Any] = {}
        """What every session brings along in its `info`, for verbs that ask for it."""
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
            isolation_level="AUTOCOMMIT",  # the unit of work begins and ends transactions itself
        )
        event.listen(self._engine.sync_engine, "checkout", _refuse_closed)
        self.on_announced: Callable[[], None] | None = None
        """Called when a transaction of this process that announced something has ended, well or not."""
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

    def is_own(self, backend_pid: int) -> bool:
        """Whether a connection of this pool is the one that PostgreSQL knows by this number."""
        open_ones = (connection for connection in self._opened if not connection.is_closed())  # type: ignore[no-untyped-call]
        return any(connection.backend_pid == backend_pid for connection in open_ones)

    @asynccontextmanager
    async def transaction(self, *, dry_run: bool = False) -> AsyncIterator[AsyncSession]:
        """One writing transaction: committed when the block ends well, rolled back when it raises.

        A dry run does all but the commit. After `Unavailable` the outcome of a commit is unknown: send the request
        again with its `Idempotency-Key`. The session's own `commit` only flushes. If the block refuses what was asked,
        what `keep_anyway` was told is done in a transaction of its own before the error goes on.
        """
        kept: list[Keep] = []
        try:
            async with self._translating(), self._unit(_BEGIN) as session:
                session.info.update({_KEPT_ANYWAY: kept, _IS_DRY_RUN: dry_run})
                yield session
                if session.in_transaction():  # of its own, that is: it was used
                    await session.commit()
                if not dry_run:
                    await self._commit(session)
        except GreenroomError:
            if kept and not dry_run:
                await self._keep(kept)
            raise

    async def _keep(self, kept: list["Keep"]) -> None:
        try:
            async with self.transaction() as session:
                for keep in kept:
                    await keep(session)
        except GreenroomError as error:
            log.warning("what belongs to a refusal could not be kept", reason=error.detail)

    @asynccontextmanager
    async def single(self) -> AsyncIterator[AsyncSession]:
        """For one statement of `database.direct`, which is a transaction by itself: it need not be begun and ended.

        Raises RuntimeError if something was announced, since that goes with a commit.
        """
        async with self._translating(), self._unit("") as session:
            yield session
            if _IS_ANNOUNCED in session.info:
                raise RuntimeError("a single statement announces nothing")

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncSession]:
        """One state of the store for all statements of the block; nothing can be written."""
        async with self._translating(), self._unit(_BEGIN_READING) as session:
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

    async def glance(self, sql: str, *arguments: Any) -> Record | None:
        """The first row, if any, of one statement that only reads, without a transaction around it.

        For what is asked for so often that a transaction's beginning and end would cost more than the question.
        """
        async with self._translating():
            connection, driver = await self._check_out()
            try:
                async with asyncio.timeout(self.timeouts.acquire_s):
                    row: Record | None = await driver.fetchrow(sql, *arguments)  # type: ignore[no-untyped-call]
                await connection.close()
            except BaseException:
                await self._abandon(connection)
                raise
            return row

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
    async def _unit(self, begin: str) -> AsyncIterator[AsyncSession]:
        connection, driver = await self._open(begin)
        session = AsyncSession(bind=connection, expire_on_commit=False, info={**self.carried, DRIVER: driver})
        try:
            yield session
            async with asyncio.timeout(_ROLLBACK_S):
                if driver.is_in_transaction():  # type: ignore[no-untyped-call]
                    await driver.execute("ROLLBACK")
                await connection.close()
        except (TimeoutError, OSError):
            await self._abandon(connection)
            raise
        except Exception:
            await self._undo(connection, driver)
            raise
        except BaseException:
            await self._abandon(connection)
            raise
        finally:
            session.sync_session.expunge_all()

    async def _open(self, begin: str) -> tuple[AsyncConnection, BoundedConnection]:
        connection, driver = await self._check_out()
        if not begin:
            return connection, driver
        try:
            # A server that hangs is found out here and not in the work.
            async with asyncio.timeout(self.timeouts.acquire_s):
                await driver.execute(begin)
        except BaseException:
            await self._abandon(connection)
            raise
        return connection, driver

    async def _check_out(self) -> tuple[AsyncConnection, BoundedConnection]:
        connection = self._engine.connect()
        try:
            await connection.start()
            return connection, _driver_of(connection)
        except BaseException:
            await self._abandon(connection)
            raise

    async def _commit(self, session: AsyncSession) -> None:
        driver: BoundedConnection = session.info[DRIVER]
        is_announced = _IS_ANNOUNCED in session.info
        try:
            await driver.commit(notify=CHANNEL if is_announced else None)
        finally:
            if is_announced and self.on_announced is not None:
                self.on_announced()

    async def _undo(self, connection: AsyncConnection, driver: BoundedConnection) -> None:
        try:
            async with asyncio.timeout(_ROLLBACK_S):
                await driver.execute("ROLLBACK")
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
    """Tell every change feed, if and when this transaction commits, that there is something to read.

    It goes to PostgreSQL together with the commit.
    """
    session.info[_IS_ANNOUNCED] = True


Keep = Callable[[AsyncSession], Awaitable[None]]
"""Writes something in the session that it is handed."""


def is_dry_run(session: AsyncSession) -> bool:
    """Whether nothing of this transaction will be kept."""
    return bool(session.info.get(_IS_DRY_RUN, False))


def keep_anyway(session: AsyncSession, keep: Keep) -> None:
    """Have this done although the transaction is about to be refused: a refusal leaves a trace too."""
    session.info[_KEPT_ANYWAY].append(keep)


async def keep_now(session: AsyncSession) -> None:
    """Do in this transaction what `keep_anyway` was told: the refusal is answered without one."""
    for keep in session.info.get(_KEPT_ANYWAY, ()):
        await keep(session)
    session.info[_KEPT_ANYWAY].clear()


async def _discard(connection: AsyncConnection) -> None:
    try:
        if connection.sync_connection is not None and not connection.closed:
            await connection.invalidate()
            await connection.close()
    except Exception as error:
        log.debug("closing a broken connection failed", reason=f"{type(error).__name__}: {error}")


def _driver_of(connection: AsyncConnection) -> BoundedConnection:
    assert connection.sync_connection is not None  # noqa: S101 (it was started)
    driver: BoundedConnection = connection.sync_connection.connection.driver_connection  # type: ignore[assignment]
    return driver


def _refuse_closed(dbapi_connection: Any, _record: Any, _proxy: Any) -> None:
    # The pool then opens a new one in its place.
    if dbapi_connection.driver_connection.is_closed():
        raise DisconnectionError


def _write_json(value: Any) -> str:
    return orjson.dumps(value).decode()
