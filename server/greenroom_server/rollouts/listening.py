"""Asking the guardrails about a running step: whatever does not give an answer means hold."""

import asyncio
from datetime import datetime
from typing import Final

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from greenroom_server.errors import Unavailable
from greenroom_server.rollouts.guardrail_reader import GuardrailReader, RunningStep
from greenroom_server.rollouts.plan import NOTHING_HEARD, Heard
from greenroom_server.rollouts.schedule import instant_of, moment_at
from greenroom_server.rollouts.service_scope import Release

log = structlog.get_logger(__name__)

_ANSWERED_WITHIN_S: Final = 3.0


class Listener:
    """Hears what the guardrails say."""

    def __init__(self, reader: GuardrailReader) -> None:
        self._reader = reader

    async def hear(self, session: AsyncSession, release: Release, now: datetime) -> Heard:
        """What they say of the step in effect; of one that is not served there is nothing to say."""
        step = _running(release)
        if step is None:
            return NOTHING_HEARD
        try:
            async with asyncio.timeout(_ANSWERED_WITHIN_S):
                verdict = await self._reader.verdict_of(session, step, now)
        except Unavailable:
            raise
        except Exception as error:
            log.warning("a guardrail gave no answer", release=release.path, exc_info=True)
            return Heard("hold", f"the guardrails gave no answer ({type(error).__name__})")
        return Heard(verdict.outcome, verdict.reason, instant_of(verdict.data_at), verdict.is_tripped)


def _running(release: Release) -> RunningStep | None:
    at, row = release.at, release.row
    if at.step == 0 or at.is_dark or at.since is None:
        return None
    advance = release.plan.steps[at.step - 1].advance
    return RunningStep(
        project_id=row.project_id,
        project=row.project,
        environment=row.environment,
        release_id=row.id,
        release=row.key,
        step=at.step,
        since=moment_at(at.since),
        flags=tuple(row.flags),
        guardrails=() if advance is None else advance.guardrails,
    )
