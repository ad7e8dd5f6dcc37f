"""How far stories have come: whether they are done, in the shape of a decision, and where they stand on the board."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from greenroom_server.decisions.policies import PolicyShelf
from greenroom_server.decisions.service_decisions import answered, instant_of
from greenroom_server.decisions.service_look import policy_in_force
from greenroom_server.decisions.service_policies import author_of
from greenroom_server.decisions.wire_stories import (
    AcceptedOut,
    ConditionOut,
    DoneInOut,
    MissingOut,
    ShownOut,
    StoryBuildOut,
    StoryDoneOut,
    StoryFlagOut,
    StoryOnBoardOut,
)
from greenroom_server.errors import FieldError, Invalid
from greenroom_server.flags.service_reach import FlagReach, reaches
from greenroom_server.flags.work import Work
from greenroom_server.policy.answer import next_steps_of
from greenroom_server.policy.canonical import write_decision
from greenroom_server.policy.decision import RuleResult, Verdict
from greenroom_server.policy.done import done, standings_of_stories
from greenroom_server.policy.explain import steps_in_words
from greenroom_server.policy.facts import Demo, Instant, Request
from greenroom_server.policy.findings import BLOCKING, unique
from greenroom_server.policy.outlook import Standing
from greenroom_server.policy.story_states import HidingFlag, story_state
from greenroom_server.releases.service_candidates import Candidate, candidates_of, is_live_in, services_of_digest
from greenroom_server.releases.service_people import read_settings
from greenroom_server.releases.service_scope import Place, place_of, require_environment
from greenroom_server.releases.service_snapshot import load_snapshot
from greenroom_server.releases.service_stories import StoryFilter, page_stories, read_story
from greenroom_server.releases.wire import StoryOut

_RANKS: Final = {"allow": 0, "wait": 1, "deny": 2}


@dataclass(slots=True)
class _Found:
    """What was found about one story of a page."""

    candidates: list[Candidate] = field(default_factory=list)
    standings: list[tuple[str, Standing | None]] = field(default_factory=list)
    demos: dict[str, Demo] = field(default_factory=dict)


async def story_done(
    work: Work, project_key: str, key: str, environment: str, build: str | None, shelf: PolicyShelf
) -> StoryDoneOut:
    """Whether the story is done in every service that works on it; `build` names the build of one of them by a digest.

    Raises `NotFound` for an unknown story, and `Invalid` for an environment or build that is not there.
    """
    place = await place_of(work, project_key)
    await require_environment(work, project_key, environment)
    story = await read_story(work, project_key, key)
    candidates = await _with_build(work, place, environment, key, build)
    services: list[DoneInOut] = []
    demos: dict[str, Demo] = {}
    for one in candidates:
        request = _request(work, one.service, environment, one.digest)
        snapshot = await load_snapshot(work, project_key, request, [key])
        policy = await policy_in_force(work.session, shelf, place.project_id, one.service)
        decision = done(snapshot, key, request, policy, instant_of(work.now))
        demos |= {demo.id: demo for demo in snapshot.demos if key in demo.stories}
        shown = answered(write_decision(decision), None, simulated=True)
        services.append(DoneInOut(**_build_out(one).model_dump(), decision=shown))
    return _done_out(work, story, environment, services, demos.values())


async def page_board(
    work: Work, project_key: str, environment: str, *, after: str | None, limit: int, shelf: PolicyShelf
) -> list[StoryOnBoardOut]:
    """The stories in the order of their keys, each with where it stands in the environment."""
    place = await place_of(work, project_key)
    await require_environment(work, project_key, environment)
    stories = await page_stories(work, project_key, StoryFilter(), after=after, limit=limit)
    found: dict[str, _Found] = {story.key: _Found() for story in stories}
    for one in await candidates_of(work, place, environment, list(found)):
        found[one.story].candidates.append(one)
    await _look(work, place, environment, found, shelf)
    flags = await _flags_of(work, place, environment, stories)
    return [_on_board(work, story, found[story.key], flags[story.key]) for story in stories]


async def _look(work: Work, place: Place, environment: str, found: dict[str, _Found], shelf: PolicyShelf) -> None:
    """Each build is looked at once, for all the stories that are looked at in it."""
    groups: dict[tuple[str, str], list[str]] = defaultdict(list)
    for key, one in found.items():
        for candidate in one.candidates:
            groups[candidate.service, candidate.digest].append(key)
    for (service, digest), keys in sorted(groups.items()):
        request = _request(work, service, environment, digest)
        snapshot = await load_snapshot(work, place.project_key, request, keys)
        policy = await policy_in_force(work.session, shelf, place.project_id, service)
        standings = standings_of_stories(snapshot, keys, request, policy, instant_of(work.now))
        for key in keys:
            found[key].standings.append((service, standings.get(key)))
            found[key].demos |= {demo.id: demo for demo in snapshot.demos if key in demo.stories}


async def _with_build(work: Work, place: Place, environment: str, story: str, build: str | None) -> list[Candidate]:
    """The builds to look at, of which the caller may have named one."""
    candidates = await candidates_of(work, place, environment, [story])
    if build is None:
        return candidates
    owners = await services_of_digest(work, place, build)
    commits = {one.service: one.commit for one in candidates}
    if not owners or (commits and not commits.keys() & set(owners)):
        detail = f"no service that works on `{story}` has a build `{build}`"
        raise Invalid(detail, errors=[FieldError("build", detail)])
    named = [
        Candidate(
            story, service, commits.get(service, ""), build, await is_live_in(work, place, service, build, environment)
        )
        for service in owners
    ]
    return sorted([*(one for one in candidates if one.service not in owners), *named], key=lambda one: one.service)


def _request(work: Work, service: str, environment: str, digest: str) -> Request:
    return Request("release", service, environment, author_of(work), digest)


async def _flags_of(
    work: Work, place: Place, environment: str, stories: Sequence[StoryOut]
) -> dict[str, dict[str, FlagReach | None]]:
    """By story the flags that hide it, by its account or by theirs; None for one that is not there."""
    keys = {flag for story in stories for flag in story.flags}
    segment = (await read_settings(work, place.project_key)).internal_segment
    names = [story.key for story in stories]
    known = {
        one.flag: one for one in await reaches(work.session, (place.project_id, environment), keys, names, segment)
    }
    found: dict[str, dict[str, FlagReach | None]] = {}
    for story in stories:
        naming = {one.flag for one in known.values() if story.key in one.stories}
        found[story.key] = {flag: known.get(flag) for flag in sorted({*story.flags, *naming})}
    return found


def _done_out(
    work: Work, story: StoryOut, environment: str, services: list[DoneInOut], demos: Iterable[Demo]
) -> StoryDoneOut:
    steps = unique(step for one in services for step in one.decision["next"]) if services else (_no_build(story.key),)
    later = [one.decision["retry_at"] for one in services if one.decision["decision"] != "allow"]
    return StoryDoneOut(
        story=story.key,
        title=story.title,
        environment=environment,
        decision=_worst(one.decision["decision"] for one in services),
        retry_at=max(map(datetime.fromisoformat, later)) if later and None not in later else None,
        conditions=_conditions(services),
        services=services,
        demos=_demos_out(work, demos),
        next=[dict(step) for step in steps],
        steps=list(steps_in_words(steps, ())),
    )


def _on_board(work: Work, story: StoryOut, found: _Found, flags: dict[str, FlagReach | None]) -> StoryOnBoardOut:
    now = instant_of(work.now)
    hiding = [_hiding(one, work.now) for one in flags.values() if one is not None]
    is_live = bool(found.candidates) and all(one.is_live for one in found.candidates)
    blocking = [
        (service, one)
        for service, standing in found.standings
        if standing is not None
        for one in sorted(standing.results, key=lambda one: one.id)
        if one.finding.outcome in BLOCKING
    ]
    steps = unique(step for _, one in blocking for step in next_steps_of((one,)))
    if not found.candidates:
        steps = (_no_build(story.key),)
    return StoryOnBoardOut(
        story=story.key,
        title=story.title,
        state=story_state(is_live=is_live, flags=hiding, now=now),
        decision=_worst("deny" if standing is None else standing.verdict for _, standing in found.standings),
        flags=[_flag_out(key, one) for key, one in flags.items()],
        services=[_build_out(one) for one in found.candidates],
        missing=[_missing(service, one) for service, one in blocking],
        demos=_demos_out(work, found.demos.values()),
        steps=list(steps_in_words(steps, ())),
    )


def _no_build(story: str) -> dict[str, Any]:
    return {"do": "deploy", "story": story}


def _worst(verdicts: Iterable[Verdict]) -> Verdict:
    """Of all services; a story that no build contains is waited for."""
    return max(verdicts, key=lambda one: _RANKS[one], default="wait")


def _conditions(services: Sequence[DoneInOut]) -> list[ConditionOut]:
    """What no rule tells anything about, because nothing could be asked, is not met."""
    names = ("C1", "C2", "C3")
    told = [rule for one in services for rule in one.decision["rules"]]
    outcomes = {"pending"} if not services else set()
    general = outcomes | {rule["outcome"] for rule in told if "condition" not in rule}
    found = []
    for name in names:
        own = general | {rule["outcome"] for rule in told if rule.get("condition") == name}
        word = "fail" if own & {"fail", "error"} else "pending" if "pending" in own else "pass"
        found.append(ConditionOut.model_validate({"condition": name, "outcome": word}))
    return found


def _missing(service: str, result: RuleResult) -> MissingOut:
    finding = result.finding
    members = {"rule": result.id, "condition": result.condition, "code": finding.code, "message": finding.message}
    return MissingOut.model_validate({"service": service, **members})


def _hiding(one: FlagReach, now: datetime) -> HidingFlag:
    is_expired = one.expires_on is not None and one.expires_on < now.date()
    return HidingFlag(one.state, instant_of(one.since), is_expired)


def _flag_out(key: str, one: FlagReach | None) -> StoryFlagOut:
    if one is None:
        return StoryFlagOut(flag=key, state="missing", since=None, expires_on=None)
    return StoryFlagOut(flag=key, state=one.state, since=one.since, expires_on=one.expires_on)


def _build_out(one: Candidate) -> StoryBuildOut:
    return StoryBuildOut(service=one.service, digest=one.digest, commit=one.commit or None, is_live=one.is_live)


def _demos_out(work: Work, demos: Iterable[Demo]) -> list[ShownOut]:
    """Those that stand, where the caller may look, newest first."""
    standing = [one for one in demos if one.revoked_at is None and work.principal.sees_environment(one.environment)]
    return [_shown(one) for one in sorted(standing, key=lambda one: one.at, reverse=True)]


def _shown(one: Demo) -> ShownOut:
    accepted = [AcceptedOut(person=yes.person, role=yes.role, at=_moment(yes.at)) for yes in one.accepted_by]
    return ShownOut(
        demo=one.id,
        environment=one.environment,
        slot=one.slot,
        at=_moment(one.at),
        audience=list(one.audience),
        accepted_by=accepted,
    )


def _moment(at: Instant) -> datetime:
    return datetime.fromtimestamp(at / 1000, UTC)
