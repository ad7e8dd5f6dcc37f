"""The release gate: a change that lights a flag is decided on by the policy in force, like everything else.

INVARIANT: places are locked before the ledger, and nothing that a decision is made from is read before both are. So a
release is decided after all that was deployed, released, said or forbidden before it, or else before it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import orjson
from sqlalchemy.ext.asyncio import AsyncSession

from greenroom_server.database.engine import is_dry_run, keep_anyway
from greenroom_server.decisions.service_decisions import Made, answered, decide_again, instant_of, keep_decision
from greenroom_server.decisions.service_governing import governing
from greenroom_server.decisions.service_look import Shelves, see
from greenroom_server.decisions.service_policies import author_of
from greenroom_server.decisions.wire import GateMode
from greenroom_server.errors import LimitExceeded, ReleaseRefused
from greenroom_server.flags.gate import FlagChange, Watch, is_feature
from greenroom_server.flags.place import Project
from greenroom_server.flags.work import Verdict, Work
from greenroom_server.policy.canonical import decision_bytes
from greenroom_server.policy.decide import decide
from greenroom_server.policy.facts import Request, Snapshot
from greenroom_server.releases.service_links import links_of
from greenroom_server.releases.service_places import NO_SERVICE, lock_places
from greenroom_server.releases.service_scope import new_id, open_ledger

# A change that releases more flags at once than this is refused where the gate enforces.
MAX_RELEASES: Final = 200


@dataclass(frozen=True, slots=True)
class _Asked:
    """A decision that was made for a change, and what the gate makes of it there."""

    made: Made
    mode: GateMode

    @property
    def is_refused(self) -> bool:
        return self.mode == "enforce" and self.made.decision.verdict != "allow"


class PolicyGate:
    """A `flags.gate.ReleaseGate`."""

    def __init__(self, shelves: Shelves) -> None:
        self._shelves = shelves

    async def watch(self, work: Work, project: Project) -> Watch:
        found = await governing(work.session, self._shelves.policies, project.id)
        return Watch(found.watched(), found.internal_segment)

    async def judge(self, work: Work, project: Project, changes: Sequence[FlagChange]) -> Sequence[Verdict]:
        links = await links_of(work.session, project.id, {change.flag for change in changes})
        pairs: list[tuple[FlagChange, str]] = []
        for change in changes:
            linked = links[change.flag]
            if is_feature(change.purpose, linked.hides_story):
                pairs += [(change, service) for service in linked.services or (NO_SERVICE,)]
        releases = [(service, change.environment) for change, service in pairs if change.is_release]
        if releases:
            await lock_places(work, project.id, releases)
            await open_ledger(work, project.key)
        found = await governing(work.session, self._shelves.policies, project.id)
        governed = [(change, service) for change, service in pairs if found.governs(service, change.environment)]
        _require_few(change for change, _ in governed if found.mode_of(change.environment) == "enforce")
        asked = []
        for change, service in governed:
            made = await self._made(work, project, change, service)
            asked.append(_Asked(made, found.mode_of(change.environment)))
        return await _settled(work, asked)

    async def _made(self, work: Work, project: Project, change: FlagChange, service: str) -> Made:
        request = Request(
            action="release" if change.is_release else "darken",
            service=service,
            environment=change.environment,
            requester=author_of(work),
            flag=change.flag,
            audience=change.audience,
        )
        if not change.is_release:
            # Always allowed, whatever the facts are: so they are not even looked at.
            seen = await see(work.session, project.key, request)
            nothing = Snapshot(project.key, service, seq=seen.marks.seq, mode="delivery")
            return Made(new_id(work.now), seen, None, request, decide(nothing, request, None, instant_of(work.now)))
        return await decide_again(work, project.key, request, self._shelves)


async def _settled(work: Work, asked: Sequence[_Asked]) -> Sequence[Verdict]:
    """Store the decisions with the change, or what was refused without it."""
    refused = [one for one in asked if one.is_refused]
    if refused:
        _remember(work, refused)
        raise _refusal(work, refused)
    if is_dry_run(work.session):
        return [Verdict(_answer(work, one), one.mode) for one in asked]
    return [Verdict((await _keep(work, one)).result, one.mode) for one in asked]


def _remember(work: Work, refused: Sequence[_Asked]) -> None:
    async def keep(session: AsyncSession) -> None:
        for one in refused:
            await _keep(replace(work, session=session), one)

    keep_anyway(work.session, keep)


async def _keep(work: Work, one: _Asked) -> Any:
    return await keep_decision(work, one.made, gate=one.mode)


def _answer(work: Work, one: _Asked) -> dict[str, Any]:
    """As it is answered; on a dry run there is nothing that it could be found by."""
    is_dry = is_dry_run(work.session)
    body = orjson.loads(decision_bytes(one.made.decision))
    return answered(body, None if is_dry else str(one.made.id), simulated=is_dry)


def _refusal(work: Work, refused: Sequence[_Asked]) -> ReleaseRefused:
    """Tells of a denial, if there is one, else of what waits; of the others only how many there are."""
    told = next((one for one in refused if one.made.decision.verdict == "deny"), refused[0])
    request, decision = told.made.request, told.made.decision
    reasons = [rule.finding for rule in decision.rules if rule.finding.outcome in ("fail", "error", "pending")]
    reasons.sort(key=lambda finding: finding.outcome == "pending")
    first = reasons[0].message or reasons[0].code if reasons else decision.verdict
    more = f" (and {len(refused) - 1} more)" if len(refused) > 1 else ""
    detail = f"`{request.flag}` is not released to `{request.audience}` in `{request.environment}`: {first}{more}"
    return ReleaseRefused(_answer(work, told), detail)


def _require_few(releases: Iterator[FlagChange]) -> None:
    flags = {(change.environment, change.flag) for change in releases if change.is_release}
    if len(flags) > MAX_RELEASES:
        raise LimitExceeded(
            "releases_per_change",
            MAX_RELEASES,
            detail=f"a change releases at most {MAX_RELEASES} flags where the release policy is enforced",
        )
