"""Replays all that was decided: the facts, policies and moments that are kept must give the bytes that are kept."""

from dataclasses import dataclass, field

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from greenroom_server.decisions.policies import PolicyShelf
from greenroom_server.decisions.service_decisions import situation_of
from greenroom_server.decisions.tables import DecisionRow, PolicyVersionRow
from greenroom_server.policy.canonical import decision_bytes
from greenroom_server.policy.decide import decide

_FETCHED = 200


@dataclass(slots=True)
class Replay:
    """How many decisions there are, and the ids of those that came out otherwise."""

    decisions: int = 0
    differing: list[str] = field(default_factory=list)


async def replay_all(session: AsyncSession) -> Replay:
    """Decide all stored decisions once more, in the order in which they were made. Wants a reading transaction."""
    versions = {row.id: row for row in await session.scalars(select(PolicyVersionRow))}
    shelf, found = PolicyShelf(), Replay()
    query = select(DecisionRow).order_by(col(DecisionRow.decided_at)).execution_options(yield_per=_FETCHED)
    async for row in await session.stream_scalars(query):
        policy = None if row.policy_version_id is None else shelf.policy_of(versions[row.policy_version_id])
        asked = situation_of(row)
        found.decisions += 1
        if decision_bytes(decide(asked.snapshot, asked.request, policy, asked.now)) != row.body:
            found.differing.append(str(row.id))
        session.expunge(row)
    return found
