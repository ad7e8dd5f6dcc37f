"""What a running step asks of guardrails: may it go on? Whoever answers is handed in by the composition root.

Both sides are protocols, so that the room below that answers needs nothing of this one.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

Finding = Literal["ok", "hold", "step_back", "darken"]


@dataclass(frozen=True, slots=True)
class RunningStep:
    """A step that people are being served.

    `step` counts from 1. `flags` are all flags of the release. `since` is when the step took effect: what was measured
    before says nothing about it. `guardrails` are those that the plan names; more may watch the flags by themselves.
    """

    project_id: UUID
    project: str
    environment: str
    release_id: UUID
    release: str
    step: int
    since: datetime
    flags: Collection[str]
    guardrails: Collection[str]


class Verdict(Protocol):
    """`reason` is shown to people; `data_at` is the moment of the newest reading, None without one.

    `is_tripped` tells a `hold` because things are bad from one for want of data.
    """

    @property
    def outcome(self) -> Finding: ...
    @property
    def reason(self) -> str: ...
    @property
    def data_at(self) -> datetime | None: ...
    @property
    def is_tripped(self) -> bool: ...


class GuardrailReader(Protocol):
    """Judges what is stored already. Asked every few seconds for every running step, so it is quick, and it never
    waits for a network.

    `ok` if no guardrail watches the step. `hold` if one of those that watch, or that the plan names, has no data that
    is new enough, or if it does not exist. Between several the sharpest finding counts: `darken`, `step_back`, `hold`.
    Whatever is raised means `hold`. The session is a reading one: it sees one state of the store.
    """

    async def verdict_of(self, session: AsyncSession, step: RunningStep, now: datetime) -> Verdict: ...
