"""Whether there is anything to migrate, found out without Alembic: it is large, and seldom needed at a start."""

from pathlib import Path

import greenroom_server
from greenroom_server.database.direct import fetch_all, fetch_one
from greenroom_server.database.engine import Database


async def is_current(database: Database) -> bool:
    """Whether the newest migration that this version knows is the one that the database is at.

    False also for what only `migrate` can tell: an empty database, or one that a newer version has migrated.
    """
    async with database.reading() as session:
        there = await fetch_one(session, "SELECT to_regclass('alembic_version') IS NOT NULL AS is_there")
        if there is None or not there["is_there"]:
            return False
        heads = await fetch_all(session, "SELECT version_num FROM alembic_version")
    return [head["version_num"] for head in heads] == [newest_migration()]


def newest_migration() -> str:
    """Its number: migrations are one line, and their files begin with their numbers."""
    return max(path.name[:4] for path in (migrations_folder() / "versions").glob("[0-9]*.py"))


def migrations_folder() -> Path:
    """Inside the package when installed, beside `server/` in the repository."""
    package = Path(greenroom_server.__file__).parent
    for folder in (package / "migrations", package.parents[1] / "migrations"):
        if (folder / "env.py").exists():
            return folder
    raise FileNotFoundError(f"no `migrations` folder belongs to `{package}`")
