"""Replays all that was decided: the facts, policies and moments that are kept must give the bytes that are kept."""

from collections import OrderedDict
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

import orjson
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from greenroom_server.database.direct import Record, fetch_all
from greenroom_server.decisions.policies import PolicyShelf
from greenroom_server.decisions.service_decisions import unpacked
from greenroom_server.decisions.tables import PolicyVersionRow
from greenroom_server.policy.canonical import decision_bytes
from greenroom_server.policy.decide import decide_on
from greenroom_server.policy.question import Index
from greenroom_server.policy.stored import read_request, read_snapshot

_FETCHED: Final = 200
_KEPT: Final = 16
_SNAPSHOT: Final = b',"snapshot":'


@dataclass(slots=True)
class Replay:
    """How many decisions there are, and the ids of those that came out otherwise."""

    decisions: int = 0
    differing: list[str] = field(default_factory=list)


class _Facts:
    """The facts read last: decisions that follow each other are often made on the same."""

    def __init__(self) -> None:
        self._kept: OrderedDict[bytes, Index] = OrderedDict()

    def of(self, written: bytes) -> Index:
        """Of equal bytes the same, read once."""
        found = self._kept.get(written)
        if found is None:
            found = self._kept[written] = Index(read_snapshot(orjson.loads(written)))
            if len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(written)
        return found


async def replay_all(session: AsyncSession) -> Replay:
    """Decide all stored decisions once more, project by project in their order. Wants a reading transaction."""
    versions = {row.id: row for row in await session.scalars(select(PolicyVersionRow))}
    shelf, facts, found = PolicyShelf(), _Facts(), Replay()
    async for row in _decisions(session):
        version_id = row["policy_version_id"]
        policy = None if version_id is None else shelf.policy_of(versions[version_id])
        rest, snapshot = _parts(unpacked(row["inputs"]))
        again = decide_on(facts.of(snapshot), read_request(rest["request"]), policy, rest["now"])
        found.decisions += 1
        if decision_bytes(again) != row["body"]:
            found.differing.append(str(row["id"]))
    return found


def _parts(inputs: bytes) -> tuple[Any, bytes]:
    """What is canonical has its members in order, so the snapshot comes last; in a text its quotes would be escaped."""
    rest, _, snapshot = inputs.partition(_SNAPSHOT)
    return orjson.loads(rest + b"}"), snapshot[:-1]


async def _decisions(session: AsyncSession) -> AsyncIterator[Record]:
    project_id, decided_at, id_ = UUID(int=0), datetime.fromtimestamp(0, UTC), UUID(int=0)
    while page := await fetch_all(session, _PAGE, project_id, decided_at, id_, _FETCHED):
        for row in page:
            yield row
        project_id, decided_at, id_ = (page[-1][name] for name in ("project_id", "decided_at", "id"))


_PAGE: Final = """
SELECT project_id, decided_at, id, policy_version_id, inputs, body FROM decision
WHERE (project_id, decided_at, id) > ($1, $2, $3) ORDER BY project_id, decided_at, id LIMIT $4
"""
