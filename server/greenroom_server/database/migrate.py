"""The schema's history (Alembic, in `migrations/`), brought up to date by whichever server comes first.

Everything runs in one transaction on asyncpg, under an advisory lock: of servers that start together one migrates and
the others wait and find nothing to do.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import structlog
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import Script, ScriptDirectory
from sqlalchemy import Connection, NullPool, text
from sqlalchemy.ext.asyncio import create_async_engine

from greenroom_server.database.connect import Timeouts, connect
from greenroom_server.database.schema import migrations_folder
from greenroom_server.database.translate import translated

_LOCK = 0x6772656E726F6F6D  # "grenroom"
# A migration may take long, and so may the wait for another server's.
_TIMEOUTS = Timeouts(statement_s=600.0, lock_s=600.0)
# A table in use is not waited for any longer: everybody else would queue behind us.
_TABLE_LOCK = "SET LOCAL lock_timeout = '15s'"

log = structlog.get_logger(__name__)

Result = TypeVar("Result")


async def migrate(url: str) -> list[str]:
    """Bring the schema up to date; the revisions that this call applied. Safe to call from many servers at once."""

    def upgrade(connection: Connection) -> list[str]:
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        missing = _missing(connection)
        if missing:
            connection.execute(text(_TABLE_LOCK))
            command.upgrade(alembic_config(connection), "head")
            log.info("migrated", revisions=missing)
        return missing

    return await _run(url, upgrade)


async def pending(url: str) -> list[str]:
    """The revisions that this version of the server knows and the database lacks, oldest first."""
    return await _run(url, _missing)


async def write_revision(url: str, name: str) -> Path:
    """Write the next numbered migration, from the difference between a migrated database and the tables."""

    def write(connection: Connection) -> Path:
        scripts = ScriptDirectory.from_config(alembic_config(connection))
        number = f"{sum(1 for _ in scripts.walk_revisions()) + 1:04}"
        made = command.revision(alembic_config(connection), name, autogenerate=True, rev_id=number)
        if not isinstance(made, Script):
            raise TypeError("alembic wrote no single revision")
        return Path(made.path)

    return await _run(url, write)


def alembic_config(connection: Connection) -> Config:
    """Alembic's configuration for one open connection; `migrations/env.py` reads the attribute."""
    config = Config(attributes={"connection": connection})
    # Interpolated by configparser, so a per cent sign is doubled.
    config.set_main_option("script_location", str(migrations_folder()).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def _missing(connection: Connection) -> list[str]:
    scripts = ScriptDirectory.from_config(alembic_config(connection))
    current = MigrationContext.configure(connection).get_current_heads()
    known = [script.revision for script in scripts.walk_revisions()]
    # A newer server has migrated already: its revision is unknown here, and its schema still serves this version.
    if any(revision not in known for revision in current):
        return []
    applied = {script.revision for script in scripts.iterate_revisions(current, "base")} if current else set()
    return [revision for revision in reversed(known) if revision not in applied]


async def _run(url: str, work: Callable[[Connection], Result]) -> Result:
    engine = create_async_engine(
        "postgresql+asyncpg://",
        async_creator=lambda: connect(url, _TIMEOUTS, purpose="greenroom migrate"),
        poolclass=NullPool,
    )
    try:
        async with engine.begin() as connection:
            return await connection.run_sync(work)
    except Exception as error:
        known = translated(error)
        if known is None:
            raise
        raise known from error
    finally:
        await engine.dispose()
