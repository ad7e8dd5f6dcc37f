"""Writing and reading the audit log.

Each event's hash covers the hash before it and the event's own text, so no event can be changed, dropped from the
middle or swapped without breaking the chain. A project is one chain; what belongs to no project is the chain `""`.
INVARIANT: an event is written in the transaction of the change that it describes.
"""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, Final

import orjson
from sqlalchemy import select, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from greenroom_server.audit.tables import AuditEventRow, AuditHeadRow
from greenroom_server.audit.wire import AuditEventOut
from greenroom_server.database.direct import fetch_one
from greenroom_server.errors import NotFound
from greenroom_server.web.codec import write_json

_START = bytes(32)
_FETCHED = 500


@dataclass(frozen=True, slots=True)
class Event:
    """What happened: `action` is a verb on a noun (`flag.update`), `target` the path of the thing it was done to.

    `changes` is a list of differences as `web.difference.diff` gives them; it must not hold secrets.
    """

    chain: str
    actor: str
    action: str
    target: str
    changes: Sequence[dict[str, Any]] = ()


@dataclass(frozen=True, slots=True)
class Inserted:
    """A row that is written in the event's own statement: a table, and its columns with their SQL types and values.

    The types are needed because PostgreSQL does not find them out here by itself. Names are ours, never a user's.
    """

    table: str
    types: Mapping[str, str]
    values: Mapping[str, Any]


async def record(session: AsyncSession, event: Event, now: datetime, *, row: Inserted | None = None) -> None:
    """Append the event to its chain, and the row with it. Locks the chain's end until the transaction ends."""
    before_number = write_json({"chain": event.chain})[:-1].decode() + ',"sequence":'
    told = {
        "at": now.isoformat(),
        "actor": event.actor,
        "action": event.action,
        "target": event.target,
        "changes": list(event.changes),
    }
    after_number = "," + write_json(told)[1:].decode()
    arguments = [event.chain, now, event.actor, event.action, event.target, before_number, after_number]
    statement = APPEND
    if row is not None:
        statement = _append_with(row.table, tuple(row.types.items()))
        arguments += [row.values[name] for name in row.types]
    if await fetch_one(session, statement, *arguments) is None:
        first = insert(AuditHeadRow).values(chain=event.chain, sequence=0, hash=_START)
        await session.execute(first.on_conflict_do_nothing())
        await fetch_one(session, statement, *arguments)


# One statement, because every change of anything waits for it: the number and the hash that the event gets are known
# only to who holds the end of the chain. The hash is that of `_hash`.
_HEAD: Final = (
    "WITH head AS (SELECT sequence + 1 AS sequence, hash AS previous FROM audit_head WHERE chain = $1 FOR UPDATE)"
)
_EVENT: Final = """, text AS (
    SELECT sequence, previous, $6::text || sequence || $7::text AS body FROM head
), event AS (
    INSERT INTO audit_event (chain, sequence, at, actor, action, target, body, previous_hash, hash)
    SELECT $1, sequence, $2, $3, $4, $5, body, previous, sha256(previous || convert_to(body, 'UTF8')) FROM text
    RETURNING sequence, hash
)
UPDATE audit_head SET sequence = event.sequence, hash = event.hash FROM event WHERE chain = $1
RETURNING audit_head.sequence
"""
APPEND: Final = _HEAD + _EVENT
_ARGUMENTS: Final = 7


@cache
def _append_with(table: str, types: tuple[tuple[str, str], ...]) -> str:
    """The row comes out of `head`, so it is there exactly if the event is."""
    names = ", ".join(name for name, _ in types)
    values = ", ".join(f"${number}::{kind}" for number, (_, kind) in enumerate(types, _ARGUMENTS + 1))
    return f"{_HEAD}, row AS (INSERT INTO {table} ({names}) SELECT {values} FROM head){_EVENT}"  # noqa: S608 (see `Inserted`)


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Which events to list; None takes all. `chains` limits what the caller may see."""

    chains: frozenset[str] | None = None
    actor: str | None = None
    action: str | None = None
    target: str | None = None


async def page(
    session: AsyncSession, wanted: EventFilter, *, before: tuple[datetime, str, int] | None, limit: int
) -> list[AuditEventOut]:
    """Events, newest first; `before` is the (at, chain, sequence) of the last one on the page before."""
    keys = (col(AuditEventRow.at), col(AuditEventRow.chain), col(AuditEventRow.sequence))
    query = select(AuditEventRow).order_by(*(key.desc() for key in keys)).limit(limit)
    if wanted.chains is not None:
        query = query.where(col(AuditEventRow.chain).in_(wanted.chains))
    if before is not None:
        query = query.where(tuple_(*keys) < before)
    return await _events(session, query, wanted)


async def page_of_chain(
    session: AsyncSession, chain: str, wanted: EventFilter, *, before: int | None, limit: int
) -> list[AuditEventOut]:
    """Events of one chain, last first; raises `NotFound` if there never was such a chain."""
    if await session.get(AuditHeadRow, chain) is None:
        raise NotFound(f"there is no project `{chain}`")
    sequence = col(AuditEventRow.sequence)
    query = select(AuditEventRow).where(col(AuditEventRow.chain) == chain).order_by(sequence.desc()).limit(limit)
    if before is not None:
        query = query.where(sequence < before)
    return await _events(session, query, wanted)


async def ends_of(session: AsyncSession, chains: Collection[str]) -> dict[str, int]:
    """The number of the last event of each of these chains; a chain that never was is not among them."""
    query = select(col(AuditHeadRow.chain), col(AuditHeadRow.sequence)).where(col(AuditHeadRow.chain).in_(chains))
    return {row.chain: row.sequence for row in await session.execute(query)}


async def events_after(session: AsyncSession, chain: str, sequence: int, *, limit: int) -> list[AuditEventOut]:
    """The events of one chain that follow on this number, in order.

    A chain's numbers are given out under a lock that is held until the commit, so no earlier event comes in later:
    whoever remembers the last number that they saw misses none.
    """
    number = col(AuditEventRow.sequence)
    query = select(AuditEventRow).where(col(AuditEventRow.chain) == chain, number > sequence)
    return [_out(row) for row in await session.scalars(query.order_by(number).limit(limit))]


async def events_about(
    session: AsyncSession, chain: str, targets: Collection[str], since: datetime, *, limit: int
) -> list[AuditEventOut]:
    """The events of one chain about these things since a moment, last first."""
    query = select(AuditEventRow).where(
        col(AuditEventRow.chain) == chain, col(AuditEventRow.target).in_(targets), col(AuditEventRow.at) >= since
    )
    return [_out(row) for row in await session.scalars(query.order_by(col(AuditEventRow.sequence).desc()).limit(limit))]


async def verify(session: AsyncSession, chain: str) -> int | None:
    """The sequence number of the first event that does not fit its chain, or None if all fit.

    Wants a session that sees one state throughout. Whoever can also rewrite the end of the chain (`audit_head`) is
    found out only by a copy of that end kept elsewhere.
    """
    previous, expected = _START, 1
    table: Any = AuditEventRow
    columns = table.__table__.columns
    query = select(*columns).where(columns.chain == chain).order_by(columns.sequence)
    rows = await session.stream(query.execution_options(yield_per=_FETCHED))
    async for row in rows:
        if row.sequence != expected or not _fits(row, previous):
            return expected
        previous, expected = row.hash, expected + 1
    head = await session.get(AuditHeadRow, chain, populate_existing=True)
    end = (0, _START) if head is None else (head.sequence, head.hash)
    return None if end == (expected - 1, previous) else expected


def _fits(row: Any, previous: bytes) -> bool:
    """Whether the event follows on the hash before it, and its columns say what its text says."""
    if row.previous_hash != previous or row.hash != _hash(previous, row.body.encode()):
        return False
    said = orjson.loads(row.body)
    return datetime.fromisoformat(said["at"]) == row.at and all(
        said[name] == getattr(row, name) for name in ("chain", "sequence", "actor", "action", "target")
    )


def _hash(previous: bytes, body: bytes) -> bytes:
    return hashlib.sha256(previous + body).digest()


async def _events(session: AsyncSession, query: Any, wanted: EventFilter) -> list[AuditEventOut]:
    for name in ("actor", "action", "target"):
        value = getattr(wanted, name)
        if value is not None:
            query = query.where(getattr(AuditEventRow, name) == value)
    return [_out(row) for row in await session.scalars(query)]


def _out(row: AuditEventRow) -> AuditEventOut:
    return AuditEventOut(
        project=row.chain or None,
        sequence=row.sequence,
        at=row.at,
        actor=row.actor,
        action=row.action,
        target=row.target,
        changes=orjson.loads(row.body)["changes"],
        hash=row.hash.hex(),
        previous_hash=row.previous_hash.hex(),
    )
