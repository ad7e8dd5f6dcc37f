"""The schema's history."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from alembic import command
from sqlalchemy import Connection, NullPool, text
from sqlalchemy.ext.asyncio import create_async_engine

from greenroom_server.database.connect import Timeouts, connect
from greenroom_server.database.engine import Database
from greenroom_server.database.migrate import alembic_config, migrate, pending, write_revision
from greenroom_server.database.schema import is_current, migrations_folder
from greenroom_server.errors import Unavailable

MIGRATE = """
import asyncio, sys
from greenroom_server.database.migrate import migrate
print(asyncio.run(migrate(sys.argv[1])))
"""


@pytest.mark.asyncio
async def test_an_empty_database_lacks_everything_and_then_nothing(empty_database_url: str) -> None:
    """`pending` tells before and after, and a second `migrate` applies nothing."""
    missing = await pending(empty_database_url)

    assert missing[0] == "0001"
    assert await migrate(empty_database_url) == missing
    assert await pending(empty_database_url) == []
    assert await migrate(empty_database_url) == []


def test_of_servers_that_start_together_one_migrates(empty_database_url: str) -> None:
    """Four processes at once on an empty database: one applies everything, none fails."""
    processes = [
        subprocess.Popen([sys.executable, "-c", MIGRATE, empty_database_url], stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    answers = [process.communicate(timeout=60)[0].strip() for process in processes]

    assert [process.returncode for process in processes] == [0, 0, 0, 0]
    assert sorted(answer == "[]" for answer in answers) == [False, True, True, True]


@pytest.mark.asyncio
async def test_a_schema_of_a_newer_version_is_left_alone(database_url: str) -> None:
    """The version before runs on the schema of the version after, so it finds nothing to do."""
    connection = await connect(database_url, Timeouts())
    await connection.execute("UPDATE alembic_version SET version_num = '9999'")
    await connection.close()

    assert await pending(database_url) == []
    assert await migrate(database_url) == []


@pytest.mark.asyncio
async def test_migrations_make_what_the_tables_say(database_url: str) -> None:
    """Alembic finds no difference between a migrated database and the rows' classes."""
    await _with_connection(database_url, lambda connection: command.check(alembic_config(connection)))


@pytest.mark.asyncio
async def test_the_history_can_be_walked_back(database_url: str) -> None:
    """Every migration undoes what it did."""
    await _with_connection(database_url, lambda connection: command.downgrade(alembic_config(connection), "base"))

    assert (await pending(database_url))[0] == "0001"
    await migrate(database_url)


@pytest.mark.asyncio
async def test_a_database_that_is_not_there_is_unavailable() -> None:
    """No driver error leaves the store."""
    with pytest.raises(Unavailable):
        await migrate("postgresql://greenroom@/postgres?host=/nonexistent&port=5432")


@pytest.mark.asyncio
async def test_the_next_migration_has_the_next_number(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A new migration is written after the newest; with nothing changed in the tables it is empty."""
    copy = tmp_path / "migrations"
    shutil.copytree(migrations_folder(), copy)
    monkeypatch.setattr("greenroom_server.database.migrate.migrations_folder", lambda: copy)
    newest = max(path.name[:4] for path in (copy / "versions").glob("*.py"))

    written = await write_revision(database_url, "add a thing")
    assert written.name == f"{int(newest) + 1:04}_add_a_thing.py"
    content = written.read_text()
    assert f"down_revision = {newest!r}" in content
    assert "op." not in content.partition("def upgrade")[2]


@pytest.mark.asyncio
async def test_only_the_newest_schema_is_current(database_url: str, empty_database_url: str) -> None:
    """Known without Alembic; an older, a newer or no schema at all is left to `migrate` to judge."""
    assert await _is_current(database_url)
    assert not await _is_current(empty_database_url)
    for revision in ("0001", "9999"):
        await _with_connection(
            database_url,
            lambda connection, revision=revision: connection.execute(  # type: ignore[misc]
                text("UPDATE alembic_version SET version_num = :revision"), {"revision": revision}
            ),
        )
        assert not await _is_current(database_url)


async def _is_current(url: str) -> bool:
    database = Database(url, pool_size=1)
    try:
        return await is_current(database)
    finally:
        await database.dispose()


def test_a_server_that_need_not_migrate_does_without_alembic() -> None:
    """Alembic and what few flags need cost memory for as long as the server runs."""
    code = "import sys, greenroom_server.cli; print({name.partition('.')[0] for name in sys.modules})"
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout

    assert "'greenroom_server'" in loaded
    assert not any(f"'{name}'" in loaded for name in ("alembic", "mako", "jsonschema_rs"))


def test_the_history_is_one_numbered_line() -> None:
    """0001, 0002, ... without a gap, each in a file that begins with its number."""
    names = sorted(path.name[:4] for path in (migrations_folder() / "versions").glob("*.py"))

    assert names == [f"{number:04}" for number in range(1, len(names) + 1)]


async def _with_connection(url: str, work: Callable[[Connection], None]) -> None:
    engine = create_async_engine(
        "postgresql+asyncpg://", async_creator=lambda: connect(url, Timeouts()), poolclass=NullPool
    )
    async with engine.begin() as connection:
        await connection.run_sync(work)
    await engine.dispose()
