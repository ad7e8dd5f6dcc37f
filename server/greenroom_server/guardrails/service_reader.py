"""Answers running steps, and remembers who asked: what watches a running step is asked, and nothing else."""

from collections.abc import Callable
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from greenroom_server.guardrails.judging import Verdict
from greenroom_server.guardrails.service_readings import Use
from greenroom_server.guardrails.service_verdicts import Step, verdict_for, watchers


class Reader:
    """One of each process. `on_use` is called when a step asked."""

    def __init__(self) -> None:
        self.on_use: Callable[[], None] = lambda: None
        self._uses: dict[tuple[UUID, UUID, str], Use] = {}

    async def verdict_of(self, session: AsyncSession, step: Step, now: datetime) -> Verdict:
        """What the step is told, from what is stored already. Only reads: the sampler writes down that it asked."""
        watching = await watchers(session, step)
        for row in watching:
            self._uses[row.id, step.release_id, step.environment] = Use(row.id, step, now)
        if watching:
            self.on_use()
        return await verdict_for(session, watching, step, now)

    def uses(self) -> list[Use]:
        """Who asked and is not written down yet."""
        return list(self._uses.values())

    def forget(self, uses: list[Use]) -> None:
        """These are written down; who asked again meanwhile is not among them."""
        for use in uses:
            name = (use.guardrail_id, use.step.release_id, use.step.environment)
            if self._uses.get(name) is use:
                del self._uses[name]
