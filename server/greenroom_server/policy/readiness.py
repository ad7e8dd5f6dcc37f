"""Could a service be switched to continuous deployment? Judged from what its builds would have done by themselves."""

from collections import Counter
from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeAlias

from greenroom_server.policy.chronicle import Chronicle, Known, Member
from greenroom_server.policy.facts import Build, Deployment, Instant, Scope
from greenroom_server.policy.instants import DAY_MS
from greenroom_server.policy.replaying import EVIDENCE_KINDS, Replayed

BuildClass: TypeAlias = Literal[
    "auto_ready",
    "blocked_evidence",
    "blocked_calendar",
    "blocked_unfinished_not_dark",
    "blocked_other",
    "manual_evidence",
    "false_ready",
]
CLASSES: Final[tuple[BuildClass, ...]] = (
    "auto_ready",
    "blocked_evidence",
    "blocked_calendar",
    "blocked_unfinished_not_dark",
    "blocked_other",
    "manual_evidence",
    "false_ready",
)
UNSANCTIONED: Final = "unsanctioned"  # the kind of the obstacle that a deployment without a permit opens
WITHIN_MS: Final = DAY_MS
# Nobody has to do anything: the pipeline goes on, or time passes.
_BY_ITSELF: Final = EVIDENCE_KINDS | {"order", "soak", "calendar", "slot", "concurrency", "health"}


@dataclass(frozen=True, slots=True)
class Thresholds:
    """When a service can be switched. `budget_ms`: how long nearly all deployments may take at most."""

    min_builds: int = 20
    auto_ready_percent: int = 95
    budget_ms: int = 600_000


@dataclass(frozen=True, slots=True)
class Wrong:
    """What a person or the world said of a build within a day, which nobody would have waited for."""

    what: Literal["rejected", "vetoed", "rolled_back", "incident"]
    at: Instant
    by: str
    id: str


@dataclass(frozen=True, slots=True)
class Judged:
    """A build of the replay, and what that makes it."""

    replayed: Replayed
    kind: BuildClass
    wrong: tuple[Wrong, ...] = ()


@dataclass(frozen=True, slots=True)
class Criterion:
    """One demand of the verdict; `value` is None where nothing could be measured, which is not enough."""

    name: str
    value: int | None
    limit: int
    is_met: bool


@dataclass(slots=True)
class Obstruction:
    """What stood in the way of builds, and of how many."""

    rule: str
    kind: str
    condition: str | None
    builds: int = 0
    held_ms: int = 0
    codes: Counter[str] = field(default_factory=Counter)
    message: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the switch can be flipped, by which demands, and what stood in the way, most builds first."""

    is_flippable: bool
    criteria: tuple[Criterion, ...]
    counts: dict[BuildClass, int]
    obstructions: tuple[Obstruction, ...]


def judge_builds(replayed: Sequence[Replayed], known: "Last") -> Generator[None, None, list[Judged]]:
    """Each build's class."""
    judged = []
    for one in replayed:
        wrong = went_wrong(one, known)
        judged.append(Judged(one, _class_of(one, wrong), wrong))
        yield
    return judged


def verdict_on(judged: Sequence[Judged], known: "Last", overdue_reviews: int, limits: Thresholds) -> Verdict:
    """The verdict; without enough builds there is nothing to rely on."""
    counts: Counter[BuildClass] = Counter(one.kind for one in judged)
    since = min((one.replayed.build.registered_at for one in judged), default=0)
    unsanctioned = sum(
        1
        for one in known.of("obstacles")
        if one.kind == UNSANCTIONED and one.opened_at >= since and known.covers(one.scope, None)
    )
    percent = 100 * counts["auto_ready"] // len(judged) if judged else None
    p95 = percentile(_durations(known, since), 95)
    criteria = (
        _at_least("builds", len(judged), limits.min_builds),
        _at_most("false_ready", counts["false_ready"], 0),
        _at_least("auto_ready_percent", percent, limits.auto_ready_percent),
        _at_most("permit_to_live_p95_ms", p95, limits.budget_ms),
        _at_most("manual_evidence", counts["manual_evidence"], 0),
        _at_most("unsanctioned_deployments", unsanctioned, 0),
        _at_most("overdue_reviews", overdue_reviews, 0),
    )
    told = {kind: counts[kind] for kind in CLASSES}
    return Verdict(all(one.is_met for one in criteria), criteria, told, _obstructions(judged))


def percentile(values: Iterable[int], percent: int) -> int | None:
    """The smallest value that so many percent do not exceed; None of none."""
    ranked = sorted(values)
    return ranked[max(0, -(-len(ranked) * percent // 100) - 1)] if ranked else None


def went_wrong(one: Replayed, known: "Last") -> tuple[Wrong, ...]:
    """What was said against a build less than a day after it would have gone, or really went.

    A rejection, a veto or an incident that names the build counts from the instant at which it would have gone, since
    nobody would have been asked. An incident that names no build counts if it was the one with the traffic.
    """
    if one.would_go_at is None:
        return ()
    found = [*_said_against(one, known), *_rolled_back(one, known)]
    return tuple(sorted(found, key=lambda wrong: (wrong.at, wrong.id)))


class Last:
    """Facts as they are in the end, which may be far later than any build was decided on."""

    def __init__(self, chronicle: Chronicle) -> None:
        self._chronicle = chronicle
        self._known = Known(chronicle)
        self._known.learn(chronicle.versions)
        self._by_digest = {digest: build for build in self.of("builds") for digest in build.digests}
        here = (one for one in self.of("deployments") if self.is_here(one.environment) and one.live_from is not None)
        self.live: list[Deployment] = sorted(here, key=lambda one: (one.live_from, one.seq))
        self.rejections = [
            one
            for one in self.of("approvals")
            if one.verdict == "reject" and one.action == "deploy" and self.is_here(one.environment)
        ]

    def of(self, member: Member) -> tuple[Any, ...]:
        return self._known.all(member)

    def covers(self, scope: Scope, build: Build | None) -> bool:
        """Whether it concerns the service and environment; with a build, only if it names that one."""
        if scope.service not in (None, self._chronicle.service):
            return False
        if scope.environment not in (None, self._chronicle.environment):
            return False
        return build is None or scope.digest in build.digests

    def is_here(self, environment: str) -> bool:
        return bool(environment == self._chronicle.environment)

    def length_of(self, one: Deployment) -> Instant | None:
        """From its permit until it was there; a slot gets the traffic by another permit, so that is not waited for."""
        begun = self._chronicle.permitted_at.get(one.permit or "")
        there = one.deployed_at if one.slot is not None or one.live_from is None else one.live_from
        return one.duration_ms if begun is None else max(0, there - begun)

    def build_of(self, digest: str) -> Build | None:
        return self._by_digest.get(digest)


def _said_against(one: Replayed, known: Last) -> Iterable[Wrong]:
    build, gone = one.build, one.would_go_at or 0
    for approval in known.rejections:
        if approval.digest in build.digests and _soon(gone, approval.at):
            yield Wrong("rejected", approval.at, approval.person, approval.id)
    for veto in known.of("vetoes"):
        if known.covers(veto.scope, build) and _soon(gone, veto.at):
            yield Wrong("vetoed", veto.at, veto.person, veto.id)
    for incident in known.of("incidents"):
        is_named = known.covers(incident.scope, build) and _soon(gone, incident.opened_at)
        if is_named or (_is_general(incident.scope, known) and _was_live(one, known, incident.opened_at)):
            yield Wrong("incident", incident.opened_at, "", incident.id)


def _is_general(scope: Scope, known: Last) -> bool:
    return scope.digest is None and known.covers(scope, None)


def _was_live(one: Replayed, known: Last, at: Instant) -> bool:
    """Whether the build had got the traffic less than a day before, and still had it."""
    return any(
        _soon(deployment.live_from or 0, at) and (deployment.live_to is None or at < deployment.live_to)
        for deployment in known.live
        if deployment.digest in one.build.digests
    )


def _rolled_back(one: Replayed, known: Last) -> Iterable[Wrong]:
    """Something older took its traffic within a day."""
    for number, deployment in enumerate(known.live):
        if deployment.digest not in one.build.digests:
            continue
        later = known.live[number + 1] if number + 1 < len(known.live) else None
        if later is None or not _soon(deployment.live_from or 0, later.live_from or 0):
            continue
        after = known.build_of(later.digest)
        if after is not None and after.seq < one.build.seq:
            yield Wrong("rolled_back", later.live_from or 0, "", later.id)


def _soon(since: Instant, at: Instant) -> bool:
    """Half-open, as all intervals."""
    return since <= at < since + WITHIN_MS


def _class_of(one: Replayed, wrong: Sequence[Wrong]) -> BuildClass:
    if wrong:
        return "false_ready"
    if one.is_manual:
        return "manual_evidence"
    if one.ready_at is None:
        return "blocked_evidence"
    kinds = {held.kind for held in one.held.values()}
    if one.would_go_at is not None and kinds <= _BY_ITSELF:
        return "auto_ready"
    if "flags_dark" in kinds:
        return "blocked_unfinished_not_dark"
    if kinds - _BY_ITSELF:
        return "blocked_other"
    standing = {one.held[name].kind for name in one.standing}
    return "blocked_calendar" if standing == {"calendar"} else "blocked_evidence"


def _durations(known: Last, since: Instant) -> list[Instant]:
    """How long it took from permit to live, of what got the traffic since; without a permit, how long it deployed."""
    went = [one for one in known.live if (one.live_from or 0) >= since]
    return [length for one in went if (length := known.length_of(one)) is not None]


def _at_least(name: str, value: int | None, limit: int) -> Criterion:
    return Criterion(name, value, limit, value is not None and value >= limit)


def _at_most(name: str, value: int | None, limit: int) -> Criterion:
    return Criterion(name, value, limit, value is not None and value <= limit)


def _obstructions(judged: Sequence[Judged]) -> tuple[Obstruction, ...]:
    """By rule: what held builds up once they were ready, and the evidence that was lacking until the end."""
    found: dict[str, Obstruction] = {}
    for one in judged:
        for held in one.replayed.in_the_way():
            entry = found.setdefault(held.rule, Obstruction(held.rule, held.kind, held.condition))
            entry.builds += 1
            entry.held_ms += held.held_ms
            entry.codes[held.code] += 1
            entry.message = held.message
    return tuple(sorted(found.values(), key=lambda entry: (-entry.builds, -entry.held_ms, entry.rule)))
