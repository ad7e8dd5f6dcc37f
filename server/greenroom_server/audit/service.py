"""Writing and reading the audit log.

Each event's hash covers the hash before it and the event's own text, so no event can be changed, dropped from the
middle or swapped without breaking the chain. A project is one chain; what belongs to no project is the chain `""`.
INVARIANT: an event is written in the transaction of the change that it describes.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import select, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from greenroom_server.audit.tables import AuditEventRow, AuditHeadRow
from greenroom_server.audit.wire import AuditEventOut

_START = bytes(32)


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


async def record(session: AsyncSession, event: Event, now: datetime) -> None:
    """Append the event to its chain. Locks the chain's end until the transaction ends."""
    await session.execute(
        insert(AuditHeadRow).values(chain=event.chain, sequence=0, hash=_START).on_conflict_do_nothing()
    )
    head = (await session.scalars(select(AuditHeadRow).where(_is(event.chain)).with_for_update())).one()
    sequence = head.sequence + 1
    body = orjson.dumps(
        {
            "chain": event.chain,
            "sequence": sequence,
            "at": now.isoformat(),
            "actor": event.actor,
            "action": event.action,
            "target": event.target,
            "changes": list(event.changes),
        }
    ).decode()
    digest = hashlib.sha256(head.hash + body.encode()).digest()
    session.add(
        AuditEventRow(
            chain=event.chain,
            sequence=sequence,
            at=now,
            actor=event.actor,
            action=event.action,
            target=event.target,
            body=body,
            previous_hash=head.hash,
            hash=digest,
        )
    )
    head.sequence, head.hash = sequence, digest
    await session.flush()


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
    place = tuple_(_column("at"), _column("chain"), _column("sequence"))
    query = select(AuditEventRow).order_by(place.desc()).limit(limit)
    if wanted.chains is not None:
        query = query.where(_column("chain").in_(wanted.chains))
    for name in ("actor", "action", "target"):
        value = getattr(wanted, name)
        if value is not None:
            query = query.where(_column(name) == value)
    if before is not None:
        query = query.where(place < before)
    return [_out(row) for row in await session.scalars(query)]


async def verify(session: AsyncSession, chain: str) -> int | None:
    """The sequence number of the first event that does not fit its chain, or None if all fit."""
    previous, expected = _START, 1
    rows = await session.stream_scalars(select(AuditEventRow).where(_is_event_of(chain)).order_by(_column("sequence")))
    async for row in rows:
        digest = hashlib.sha256(previous + row.body.encode()).digest()
        if row.sequence != expected or row.previous_hash != previous or row.hash != digest:
            return expected
        previous, expected = digest, expected + 1
    head = await session.get(AuditHeadRow, chain)
    if head is not None and (head.sequence, head.hash) != (expected - 1, previous):
        return expected
    return None


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


def _column(name: str) -> Any:
    return getattr(AuditEventRow, name)


def _is(chain: str) -> Any:
    return AuditHeadRow.chain == chain


def _is_event_of(chain: str) -> Any:
    return AuditEventRow.chain == chain
