"""The epoch: the name of one history of the database."""

import subprocess
import tempfile
from pathlib import Path
from shutil import rmtree

from tests.conftest import DISPOSABLE, execute, run, with_database

from greenroom_server.database.cluster_home import installed_programs
from greenroom_server.database.embedded import EmbeddedPostgres
from greenroom_server.database.engine import Database
from greenroom_server.database.migrate import migrate
from greenroom_server.flags.service_served import epoch

TOOLS = installed_programs() / "bin"


async def _epoch(url: str) -> str:
    opened = Database(url)
    try:
        async with opened.reading() as session:
            return await epoch(session)
    finally:
        await opened.dispose()


def epoch_of(url: str) -> str:
    return run(_epoch(url))


def test_same_at_every_look(database_url: str) -> None:
    """One database has one epoch."""
    assert epoch_of(database_url) == epoch_of(database_url)


def test_other_database_other_epoch(database_url: str, postgres_url: str, template: str) -> None:
    """A copy of the database is another history."""
    execute(postgres_url, f'CREATE DATABASE "copied" TEMPLATE "{template}" STRATEGY FILE_COPY')
    copied = epoch_of(with_database(postgres_url, "copied"))
    execute(postgres_url, 'DROP DATABASE "copied" WITH (FORCE)')

    assert copied != epoch_of(database_url)


def test_dump_loaded_again(database_url: str, tmp_path: Path) -> None:
    """Tables that were dropped and loaded from a dump, in the same database, are another history."""
    before = epoch_of(database_url)
    dump, address = tmp_path / "dump", database_url.replace("+asyncpg", "")

    subprocess.run([TOOLS / "pg_dump", "-Fc", "-f", dump, "--dbname", address], check=True, timeout=60)
    subprocess.run(
        [TOOLS / "pg_restore", "--clean", "--if-exists", "--no-owner", "--dbname", address, dump],
        check=True,
        timeout=60,
    )

    assert epoch_of(database_url) != before


def test_restart() -> None:
    """A store that is stopped and started goes on with its history."""
    folder = Path(tempfile.mkdtemp(prefix="greenroom-test-"))
    folder.chmod(0o711)
    try:
        epochs = []
        for _ in range(2):
            with EmbeddedPostgres(folder / "data", settings=DISPOSABLE) as url:
                run(migrate(url))
                epochs.append(epoch_of(url))
    finally:
        rmtree(folder)

    assert epochs[0] == epochs[1]
