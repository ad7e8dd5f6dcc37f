"""How a connection to PostgreSQL is opened: the URL, the session's settings, and a limit on every wait."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import asyncpg

# asyncpg waits for the server's goodbye; one that hangs never says it.
_GOODBYE_S = 0.5


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long each step may take before the store counts as unavailable."""

    connect_s: float = 2.0
    acquire_s: float = 2.0
    statement_s: float = 5.0
    lock_s: float = 3.0


class BoundedConnection(asyncpg.Connection):
    """A connection that closes within half a second, whatever the server does."""

    async def close(self, *, timeout: float | None = None) -> None:  # noqa: ASYNC109  asyncpg's signature
        await super().close(timeout=_GOODBYE_S if timeout is None else min(timeout, _GOODBYE_S))  # type: ignore[no-untyped-call]

    @property
    def backend_pid(self) -> int:
        """PostgreSQL's number for this connection; a NOTIFY carries its sender's."""
        pid: int = self.get_server_pid()  # type: ignore[no-untyped-call]
        return pid

    async def commit(self, *, notify: str | None = None) -> None:
        """Commit, and with it a NOTIFY on this channel.

        Raises RuntimeError if there was nothing left to commit: PostgreSQL takes back a transaction of which a
        statement failed, whoever caught that error, and calls this no error.
        """
        done = await self.execute(f'NOTIFY "{notify}"; COMMIT' if notify else "COMMIT")
        if done != "COMMIT":
            raise RuntimeError("the transaction had failed before its commit")

    async def listen(
        self,
        channel: str,
        on_hint: Callable[[], None],
        on_closed: Callable[[], None],
        *,
        is_known: Callable[[int], bool] = lambda _: False,
    ) -> None:
        """Call back at each NOTIFY, and once when the connection ends for whatever reason.

        Hints from connections (by their `backend_pid`) of which `is_known` says so are passed over.
        """

        def hear(_connection: Any, backend_pid: int, *_: Any) -> None:
            if not is_known(backend_pid):
                on_hint()

        self.add_termination_listener(lambda _: on_closed())  # type: ignore[no-untyped-call]
        await self.add_listener(channel, hear)  # type: ignore[no-untyped-call]

    async def ping(self, timeout_s: float) -> None:
        """Raises if the server does not answer in time."""
        await self.fetchval("SELECT 1", timeout=timeout_s)  # type: ignore[no-untyped-call]


def driver_dsn(url: str) -> str:
    """The URL as asyncpg reads it: `postgresql://`, with all that libpq allows after the `?`."""
    scheme, separator, rest = url.partition("://")
    if not separator or scheme not in ("postgresql", "postgres", "postgresql+asyncpg"):
        raise ValueError("a database URL looks like `postgresql://user:password@host:port/name`")
    return f"postgresql://{rest}"


async def connect(url: str, timeouts: Timeouts, *, purpose: str = "greenroom") -> BoundedConnection:
    """Open one connection; `purpose` is what `pg_stat_activity` shows."""
    connection: BoundedConnection = await asyncpg.connect(  # type: ignore[no-untyped-call]
        driver_dsn(url),
        timeout=timeouts.connect_s,
        command_timeout=timeouts.statement_s,
        connection_class=BoundedConnection,
        server_settings=_session_settings(timeouts, purpose),
    )
    return connection


def _session_settings(timeouts: Timeouts, purpose: str) -> dict[str, Any]:
    return {
        "application_name": purpose,
        "timezone": "UTC",
        # A little before the client's own limit: the server's word leaves the connection usable.
        "statement_timeout": f"{timeouts.statement_s * 900:.0f}",
        "lock_timeout": f"{timeouts.lock_s * 1000:.0f}",
        "idle_in_transaction_session_timeout": "10000",
        # A statement whose client has gone does not keep its locks.
        "client_connection_check_interval": "1000",
        # Compiling costs more than our short statements, and asyncpg's look at the types most of all.
        "jit": "off",
    }
