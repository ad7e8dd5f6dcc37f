"""Driver errors to our own; what is left untranslated is a defect of ours."""

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
        return _of_driver(error)
    if isinstance(error, PoolTimeout):
        return Busy("all database connections are busy; try again")
    if isinstance(error, (TimeoutError, OSError)):
        return Unavailable()
    return None


def sqlstate_of(error: DBAPIError) -> str:
    """PostgreSQL's five-letter code; empty if the error is not the server's."""
    return getattr(error.orig, "sqlstate", None) or ""


def _of_driver(error: DBAPIError) -> GreenroomError | None:
    state = sqlstate_of(error)
    if isinstance(error.orig, AsyncAdapt_asyncpg_dbapi.InvalidCachedStatementError):
        return Busy("the schema was just migrated; try again")
    if state in _CONFLICTS:
        return Conflict(_CONFLICTS[state])
    if state in _TRY_AGAIN:
        return Busy()
    if error.connection_invalidated or state.startswith(_UNREACHABLE):
        return Unavailable()
    return None
