"""Driver errors to our own; what is left untranslated is a defect of ours."""

from asyncpg.exceptions import InterfaceError, InvalidCachedStatementError, PostgresError
from sqlalchemy.dialects.postgresql.asyncpg import AsyncAdapt_asyncpg_dbapi
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from greenroom_server.errors import Conflict, GreenroomError, Unavailable


class Busy(Unavailable):
    """the store is busy with a conflicting change; try again"""

    def __init__(self, detail: str | None = None) -> None:
        super().__init__(detail, retry_after_s=1)


_CONFLICTS = {
    "23505": "there is one like it already",
    "23503": "something else refers to it, or what it refers to is gone",
}
# Serialisation failure, deadlock, lock not available, statement timeout: the same request may work at once.
_TRY_AGAIN = frozenset({"40001", "40P01", "55P03", "57014"})
# Connection, authorisation, resources, operator intervention, system error, no such database.
_UNREACHABLE = ("08", "28", "53", "57P", "58", "3D000", "25P03")


def translated(error: Exception) -> GreenroomError | None:
    """What the store's callers are told; None for what is not the driver's, or what only a defect explains."""
    if isinstance(error, DBAPIError):
        is_stale = isinstance(error.orig, AsyncAdapt_asyncpg_dbapi.InvalidCachedStatementError)
        return _of_state(sqlstate_of(error), is_stale=is_stale, is_closed=error.connection_invalidated)
    if isinstance(error, PostgresError):
        state = getattr(error, "sqlstate", None) or ""
        return _of_state(state, is_stale=isinstance(error, InvalidCachedStatementError), is_closed=False)
    if isinstance(error, InterfaceError):  # mostly wrong use of the driver, which is a defect
        return Unavailable() if "connection is closed" in str(error) else None
    if isinstance(error, PoolTimeout):
        return Busy("all database connections are busy; try again")
    if isinstance(error, (TimeoutError, OSError)):
        return Unavailable()
    return None


def sqlstate_of(error: DBAPIError) -> str:
    """PostgreSQL's five-letter code; empty if the error is not the server's."""
    return getattr(error.orig, "sqlstate", None) or ""


def _of_state(state: str, *, is_stale: bool, is_closed: bool) -> GreenroomError | None:
    if is_stale:
        return Busy("the schema was just migrated; try again")
    if state in _CONFLICTS:
        return Conflict(_CONFLICTS[state])
    if state in _TRY_AGAIN:
        return Busy()
    if is_closed or state.startswith(_UNREACHABLE):
        return Unavailable()
    return None
