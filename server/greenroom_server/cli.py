"""`greenroom-server`: serve, migrate, seed, new-admin, replay-decisions, check-config.

Exit codes: 0 done, 1 it could not be done, 2 wrong usage or settings.
"""

import argparse
import asyncio
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from greenroom_server.access.service import add_admin, ensure_installation, new_setup_token
from greenroom_server.clock import SystemClock
from greenroom_server.core import desk_of, guardrail_desk_of, store_of
from greenroom_server.database.embedded import EmbeddedPostgres
from greenroom_server.database.engine import Database
from greenroom_server.database.schema import is_current
from greenroom_server.errors import GreenroomError, Unavailable
from greenroom_server.observability.logs import configure_logging
from greenroom_server.seed import seed
from greenroom_server.serve import serve
from greenroom_server.settings import Settings

_WATCH_S = 2.0


def main(arguments: Sequence[str] | None = None) -> None:
    """The entry point of the command."""
    parsed = _parser().parse_args(arguments)
    try:
        settings = _settings(parsed)
        desk_of(settings)
        guardrail_desk_of(settings)
    except ValidationError as error:
        for wrong in error.errors(include_url=False, include_input=False):
            print(f"GREENROOM_{'_'.join(map(str, wrong['loc'])).upper()}: {wrong['msg']}", file=sys.stderr)
        sys.exit(2)
    except ValueError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    configure_logging(settings.log_format, settings.log_level)
    for number in (signal.SIGTERM, signal.SIGINT):
        # uvicorn sends itself the signal again when it is done: what is open must be closed, the database too.
        signal.signal(number, lambda *_: sys.exit(0))
    try:
        sys.exit(parsed.run(settings, parsed))
    except GreenroomError as error:
        print(f"greenroom-server: {error.detail}", file=sys.stderr)
        sys.exit(1)


async def _migrated(url: str) -> list[str]:
    # Alembic is large, and a server on a current schema goes without.
    from greenroom_server.database.migrate import migrate

    return await migrate(url)


def _serve(settings: Settings, _: argparse.Namespace) -> int:
    with _store(settings) as ready:
        _prepare(ready)
        return serve(ready)


def _migrate(settings: Settings, _: argparse.Namespace) -> int:
    with _store(settings) as ready:
        applied = asyncio.run(_migrated(ready.database_url or ""))
    print("\n".join(f"applied {revision}" for revision in applied) or "up to date")
    return 0


def _new_admin(settings: Settings, parsed: argparse.Namespace) -> int:
    async def add(database: Database) -> str:
        async with database.transaction() as session:
            await ensure_installation(session, SystemClock().now())
            return (await add_admin(session, parsed.name, SystemClock().now())).token

    with _store(settings) as ready:
        asyncio.run(_migrated(ready.database_url or ""))
        print(asyncio.run(_with_database(ready, add)))
    return 0


def _seed(settings: Settings, parsed: argparse.Namespace) -> int:
    with _store(settings) as ready:
        asyncio.run(_migrated(ready.database_url or ""))
        lines = asyncio.run(_with_database(ready, lambda database: seed(database, SystemClock(), parsed.tokens)))
    print("\n".join(lines))
    return 0


def _replay_decisions(settings: Settings, _: argparse.Namespace) -> int:
    # The decision core is nothing that the other commands need.
    from greenroom_server.decisions.service_replay import Replay, replay_all

    async def replay(database: Database) -> Replay:
        async with database.reading() as session:
            return await replay_all(session)

    with _store(settings) as ready:
        found = asyncio.run(_with_database(ready, replay))
    print(f"{found.decisions} decisions, {len(found.differing)} of them come out otherwise")
    print("".join(f"{id_}\n" for id_ in found.differing), end="")
    return 1 if found.differing else 0


def _migration(settings: Settings, parsed: argparse.Namespace) -> int:
    """Compares the tables with a database of its own that has all migrations so far."""
    if not parsed.name.isidentifier():
        print("greenroom-server: a migration's name looks like `add_something`", file=sys.stderr)
        return 2
    from greenroom_server.database.migrate import write_revision

    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o711)  # started by root, PostgreSQL runs as somebody else
        with EmbeddedPostgres(Path(folder) / "data") as url:
            asyncio.run(_migrated(url))
            print(asyncio.run(write_revision(url, parsed.name)))
    return 0


def _check_config(settings: Settings, _: argparse.Namespace) -> int:
    from greenroom_server.database.migrate import pending

    for name, value in settings.model_dump().items():
        shown = "(set)" if name == "database_url" and value else value
        print(f"GREENROOM_{name.upper()}={shown}")
    if settings.database_url is not None:
        missing = asyncio.run(pending(settings.database_url))
        print(f"database: reachable, {len(missing)} migrations to apply")
    return 0


def _prepare(settings: Settings) -> None:
    """Before the first worker starts: the schema, and the set-up token while nobody has an administrator's token.

    With the database down there is nothing to prepare: the workers serve what is on disk.
    """
    try:
        token = asyncio.run(_with_database(settings, _migrated_and_setup_token))
    except Unavailable as error:
        print(f"the database cannot be reached: {error.detail}", file=sys.stderr)
        return
    if token is not None:
        print(f"set-up token: {token}", file=sys.stderr)
        print("trade it for an administrator's token: POST /api/v1/setup", file=sys.stderr, flush=True)


async def _migrated_and_setup_token(database: Database) -> str | None:
    if not await is_current(database):
        await _migrated(database.url)
    async with database.transaction() as session:
        await ensure_installation(session, SystemClock().now())
        return await new_setup_token(session)


async def _with_database(settings: Settings, work: Any) -> Any:
    database = store_of(settings.database_url or "", pool_size=2)
    try:
        return await work(database)
    finally:
        await database.dispose()


@contextmanager
def _store(settings: Settings) -> Iterator[Settings]:
    """The settings with a database URL: the embedded PostgreSQL's, held for as long, if none is set."""
    if settings.database_url is not None:
        yield settings
        return
    postgres = EmbeddedPostgres(settings.data_dir)
    with postgres as url, _kept_alive(postgres):
        yield settings.model_copy(update={"database_url": url})


@contextmanager
def _kept_alive(postgres: EmbeddedPostgres) -> Iterator[None]:
    """Start the embedded PostgreSQL again should somebody kill it."""
    is_over = threading.Event()

    def watch() -> None:
        while not is_over.wait(_WATCH_S):
            if postgres.pid is None:
                try:
                    postgres.start()
                except Unavailable as error:
                    print(f"the embedded database does not start: {error.detail}", file=sys.stderr)

    watcher = threading.Thread(target=watch, name="embedded-postgresql", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        is_over.set()
        watcher.join()


def _settings(parsed: argparse.Namespace) -> Settings:
    given = {
        name: value
        for name in ("host", "port", "workers", "data_dir", "database_url", "log_format")
        if (value := getattr(parsed, name, None)) is not None
    }
    for name, value in given.items():
        os.environ[f"GREENROOM_{name.upper()}"] = str(value)
    return Settings()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="greenroom-server", description="Feature flags and release policies.")
    store = argparse.ArgumentParser(add_help=False)
    store.add_argument("--data-dir", type=Path, help="folder of the embedded database and of the last good snapshots")
    store.add_argument("--database-url", help="PostgreSQL to use instead of the embedded one")
    commands = parser.add_subparsers(required=True, metavar="command")
    serving = commands.add_parser("serve", parents=[store], help="run the server")
    serving.add_argument("--host", help="address to listen on")
    serving.add_argument("--port", type=int, help="port to listen on; 0 takes a free one")
    serving.add_argument("--workers", type=int, help="number of processes")
    serving.add_argument("--log-format", choices=("json", "console"), help="how log lines look")
    serving.set_defaults(run=_serve)
    migrating = commands.add_parser("migrate", parents=[store], help="bring the database's schema up to date")
    migrating.set_defaults(run=_migrate)
    seeding = commands.add_parser("seed", parents=[store], help="add the example project `shop`, if it is not there")
    seeding.add_argument("--tokens", type=Path, help="file to write the example's tokens to, for your shell to source")
    seeding.set_defaults(run=_seed)
    adding = commands.add_parser("new-admin", parents=[store], help="make an administrator's token, should all be lost")
    adding.add_argument("--name", default="made on the command line", help="what the token is called")
    adding.set_defaults(run=_new_admin)
    replaying = commands.add_parser(
        "replay-decisions", parents=[store], help="decide all stored decisions once more; they must come out the same"
    )
    replaying.set_defaults(run=_replay_decisions)
    checking = commands.add_parser("check-config", parents=[store], help="show the settings in force")
    checking.set_defaults(run=_check_config)
    writing = commands.add_parser("migration", help="for developers: write the next migration from the tables")
    writing.add_argument("--name", required=True, help="what it does, like `add_something`")
    writing.set_defaults(run=_migration)
    return parser
