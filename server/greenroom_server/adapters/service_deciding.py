"""Asking for the decision that a forge or controller waits for, on behalf of its integration."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError
from sqlalchemy.ext.asyncio import AsyncSession

from greenroom_server.adapters.service_integrations import Target, principal_of
from greenroom_server.adapters.tables import IntegrationRow
from greenroom_server.decisions.service_decisions import Made, keep_decision, make_decision
from greenroom_server.decisions.service_look import Shelves
from greenroom_server.decisions.wire import DecisionIn
from greenroom_server.errors import Invalid
from greenroom_server.flags.work import Work
from greenroom_server.policy.explain import headline, next_steps, sentences


@dataclass(frozen=True, slots=True)
class Wanted:
    """A deployment of what a digest or a commit names."""

    target: Target
    digest: str | None = None
    commit: str | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """No decision could be made on this, and none ever will: `why` is for people."""

    why: str


async def decide_on(
    session: AsyncSession, row: IntegrationRow, wanted: Wanted, now: datetime, shelves: Shelves
) -> Made | Refusal:
    """Decide in a reading transaction; `keep` stores it."""
    try:
        asked = DecisionIn(
            action="deploy",
            service=wanted.target.service,
            environment=wanted.target.environment,
            slot=wanted.target.slot,
            digest=wanted.digest,
            commit=wanted.commit,
        )
    except ValidationError:
        name = wanted.target.environment
        return Refusal(f"`{name}` cannot be asked about: is it among the integration's `places`?")
    try:
        return await make_decision(_work(session, row, now), row.project, asked, shelves)
    except Invalid as error:
        return Refusal("; ".join(one.detail for one in error.errors) or error.detail)


async def keep(session: AsyncSession, row: IntegrationRow, made: Made, now: datetime) -> dict[str, Any]:
    """Store the decision, as `POST …/decisions` does; the decision as it is answered."""
    return (await keep_decision(_work(session, row, now), made)).result


def turns_at(made: Made) -> datetime | None:
    """When the decision turns by time alone."""
    moments = [one for one in (made.decision.retry_at, made.decision.expires_at) if one is not None]
    return datetime.fromtimestamp(min(moments) / 1000, UTC) if moments else None


def comment_of(made: Made | Refusal, most: int) -> str:
    """Why, and what to do next, in as many lines as fit."""
    if isinstance(made, Refusal):
        return made.why[:most]
    lines = [headline(made.decision), *(f"- {line}" for line in sentences(made.decision)[1:])]
    if steps := next_steps(made.decision):
        lines += ["next:", *(f"- {step}" for step in steps)]
    return cut(lines, most)


def cut(lines: list[str], most: int) -> str:
    """As many whole lines as fit into so many characters, with `…` where some are left out."""
    text = "\n".join(lines)
    if len(text) <= most:
        return text
    kept = lines[0][: most - 2]
    for line in lines[1:]:
        if len(kept) + 1 + len(line) + 2 > most:
            break
        kept = f"{kept}\n{line}"
    return f"{kept}\n…"


def _work(session: AsyncSession, row: IntegrationRow, now: datetime) -> Work:
    return Work(session, principal_of(row), now)
