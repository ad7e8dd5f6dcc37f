"""Looks at the store behind the server, past its API."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import text

from greenroom_server.core import store_of
from greenroom_server.database.connect import Timeouts, connect
from greenroom_server.database.engine import CHANNEL, Database

TABLES = (
    "audit_event",
    "audit_head",
    "environment",
    "environment_change",
    "flag",
    "flag_configuration",
    "idempotency_key",
    "installation",
    "project",
    "segment",
    "tombstone",
    "token",
)


async def contents(url: str) -> dict[str, str]:
    """A digest of every table's rows."""
    connection: Any = await connect(url, Timeouts(), purpose="greenroom tests")
    try:
        return {
            table: await connection.fetchval(
                f"SELECT coalesce(md5(string_agg(t::text, '|' ORDER BY t::text)), '') FROM {table} t"
            )
            for table in TABLES
        }
    finally:
        await connection.close()


async def statement(url: str, sql: str) -> None:
    """Runs SQL as the database's owner, triggers of the audit log switched off."""
    connection = await connect(url, Timeouts(), purpose="greenroom tests")
    try:
        await connection.execute(f"BEGIN; SET LOCAL session_replication_role = replica; {sql}; COMMIT")
    finally:
        await connection.close()


DEAD_DELIVERY = "0c4f6a0e-8d8c-4f0e-9a57-0f5f0d0a9c11"


async def put_dead_delivery(url: str, webhook: str) -> None:
    """A delivery, of the id above, that was given up; to the only webhook of this key."""
    await statement(
        url,
        "INSERT INTO webhook_delivery (id, webhook_id, type, body, state, attempts, next_at, created_at, finished_at)"
        f" SELECT '{DEAD_DELIVERY}', id, 'flag.enable', '{{}}', 'dead', 8, now(), now(), now()"
        f" FROM webhook WHERE key = '{webhook}'",
    )


@asynccontextmanager
async def notifications(url: str) -> AsyncIterator[list[str]]:
    """What is announced during the block, complete when it has ended."""
    heard: list[str] = []
    listener: Any = await connect(url, Timeouts(), purpose="greenroom tests")
    try:
        await listener.add_listener(CHANNEL, lambda *event: heard.append(str(event[3])))
        yield heard
        # One's own announcement comes after all that were committed before it.
        await listener.execute(f"NOTIFY {CHANNEL}, 'the end'")
        await listener.fetchval("SELECT 1")
        assert heard.pop() == "the end"
    finally:
        await listener.close()


@asynccontextmanager
async def database(url: str, *, pool_size: int = 10) -> AsyncIterator[Database]:
    made = store_of(url, pool_size=pool_size)
    try:
        yield made
    finally:
        await made.dispose()


async def count(opened: Database, table: str) -> int:
    async with opened.reading() as session:
        return int((await session.execute(text(f"SELECT count(*) FROM {table}"))).scalar_one())


async def age_report(url: str, report: str, made_at: str) -> None:
    """Let a readiness report have been made at another moment, which no verb can do."""
    connection: Any = await connect(url, Timeouts(), purpose="greenroom tests")
    try:
        async with connection.transaction():
            await connection.execute("SET LOCAL session_replication_role = replica")  # facts are append-only
            await connection.execute(
                "UPDATE fact SET body = jsonb_set(body, '{made_at}', to_jsonb($2::text)) WHERE id = $1::uuid",
                report,
                made_at,
            )
    finally:
        await connection.close()
