"""Would each build have gone live by itself? Each is decided again in deployment mode, as the facts came in.

INVARIANT: no hindsight. What is found about an instant is found from what was known at it. Only what went wrong after a
build would have gone (`readiness.went_wrong`) looks ahead, since that is its very question.
"""

from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from greenroom_server.policy.chronicle import Chronicle, Known, Version
from greenroom_server.policy.compiled import Policy
from greenroom_server.policy.decide import outlook_on
from greenroom_server.policy.decision import RuleResult
from greenroom_server.policy.facts import Build, Deployment, Instant, Request, Snapshot
from greenroom_server.policy.findings import BLOCKING
from greenroom_server.policy.outlook import retry_at
from greenroom_server.policy.question import Index, Question, is_live

# What machines supply; a build is ready once all of it is there.
EVIDENCE_KINDS: Final = frozenset({"suites", "evidence", "provenance", "parity"})
UNKNOWN_FLAG: Final = "flag.unknown"
# What has a history of its own for each build and says nothing about others.
_OF_ONE_BUILD: Final = frozenset({"evidence", "provenances"})


@dataclass(slots=True)
class Held:
    """A rule that held a build up once it was ready, and for how long."""

    rule: str
    kind: str
    condition: str | None
    code: str
    message: str
    since: Instant
    until: Instant | None = None
    held_ms: int = 0


@dataclass(slots=True)
class Replayed:
    """What became of a build in the replay.

    `ready_at`: its automated evidence was complete. `would_go_at`: everything passed. `live_at`: it really had the
    traffic. `is_manual`: its evidence was complete only with what people produced. `held` by rule, `lacking` the
    evidence rules that were not met when the replay of it ended.
    """

    build: Build
    ready_at: Instant | None = None
    would_go_at: Instant | None = None
    live_at: Instant | None = None
    is_manual: bool = False
    held: dict[str, Held] = field(default_factory=dict)
    standing: tuple[str, ...] = ()
    lacking: tuple[RuleResult, ...] = ()
    retry_at: Instant | None = None
    is_over: bool = False

    def in_the_way(self) -> list[Held]:
        """The rules that held it up, and those whose evidence it lacked: from machines, or from anybody."""
        if self.ready_at is not None and not self.is_manual:
            return list(self.held.values())
        lacking = (
            Held(one.id, one.kind, one.condition, one.finding.code, one.finding.message, 0) for one in self.lacking
        )
        return [*lacking, *self.held.values()]


def replay(
    chronicle: Chronicle, builds: Sequence[str], policy: Policy, now: Instant
) -> Generator[None, None, list[Replayed]]:
    """The builds with these ids, in the order in which they were registered. Yields between evaluations.

    A build's replay ends when it would have gone, or when it or a newer one really has the traffic.
    """
    walk = _Walk(chronicle, frozenset(builds), policy)
    for at, versions in chronicle.moments():
        if at > now:
            break
        yield from walk.wait_until(at)
        yield from walk.learn(at, versions)
    yield from walk.wait_until(now + 1)
    return walk.end(now)


class _Walk:
    def __init__(self, chronicle: Chronicle, wanted: frozenset[str], policy: Policy) -> None:
        self._chronicle = chronicle
        self._wanted = wanted
        self._policy = policy
        self._known = Known(chronicle)
        self._found: dict[str, Replayed] = {}

    def wait_until(self, at: Instant) -> Generator[None, None, None]:
        """Ask again where time alone lets a build go before then."""
        while due := [one for one in self._active() if one.retry_at is not None and one.retry_at < at]:
            one = min(due, key=lambda one: one.retry_at or 0)
            self._look(one, one.retry_at or 0)
            yield

    def learn(self, at: Instant, versions: Sequence[Version]) -> Generator[None, None, None]:
        self._known.learn(versions)
        for version in versions:
            if version.member == "builds" and version.id in self._wanted and version.fact is not None:
                self._found.setdefault(version.id, Replayed(version.fact)).build = version.fact
            if version.member == "deployments" and version.fact is not None:
                self._goes_live(version.fact, at)
        for one in self._active():
            if any(_bears_on(version, one.build) for version in versions):
                self._look(one, at)
                yield

    def end(self, now: Instant) -> list[Replayed]:
        for one in self._found.values():
            if one.would_go_at is None and not one.is_over:
                _close(one, now)
        return sorted(self._found.values(), key=lambda one: one.build.seq)

    def _active(self) -> list[Replayed]:
        return [one for one in self._found.values() if one.would_go_at is None and not one.is_over]

    def _goes_live(self, deployment: Deployment, at: Instant) -> None:
        """What really has the traffic now is decided, and so is everything older."""
        if deployment.environment != self._chronicle.environment or not is_live(deployment):
            return
        live = next((one for one in self._found.values() if deployment.digest in one.build.digests), None)
        if live is None:
            return
        if live.live_at is None:
            live.live_at = deployment.live_from
        for one in self._active():
            if one.build.seq <= live.build.seq:
                one.is_over = True
                _close(one, at)

    def _look(self, one: Replayed, at: Instant) -> None:
        one.retry_at = None
        if one.ready_at is None and not self._is_ready(one, at):
            return
        snapshot = self._known.snapshot(one.build)
        question, outlook = outlook_on(Index(snapshot), self._request(snapshot, one.build), self._policy, at)
        standing = outlook.standing(at)
        blocking = [result for result in standing.results if result.finding.outcome in BLOCKING]
        _hold(one, blocking, at)
        if any(result.kind == "flags_dark" for result in blocking):
            hiding = {flag for story in question.stories for flag in story.flags}
            _name_unknown(one, blocking, self._known.unknown_flags() & hiding)
        if standing.verdict == "allow":
            one.would_go_at = at
        else:
            one.retry_at = retry_at(outlook, standing)

    def _is_ready(self, one: Replayed, at: Instant) -> bool:
        """Whether its evidence is complete: what machines produced, or else with what people did."""
        one.lacking = self._lacking(one.build, at, is_automated=True)
        if one.lacking:
            if all(evidence.is_automated for evidence in self._known.snapshot(one.build).evidence):
                return False
            one.is_manual = not self._lacking(one.build, at, is_automated=False)
            if not one.is_manual:
                return False
        one.ready_at = at
        return True

    def _lacking(self, build: Build, at: Instant, *, is_automated: bool) -> tuple[RuleResult, ...]:
        snapshot = self._known.snapshot(build, is_automated=is_automated)
        question, _ = outlook_on(Index(snapshot), self._request(snapshot, build), self._policy, at)
        return tuple(_blocking_evidence(question))

    def _request(self, snapshot: Snapshot, build: Build) -> Request:
        """A deployment by nobody in particular, into the first slot without traffic where there are slots."""
        environment = self._chronicle.environment
        spec = self._policy.document.environments[environment]
        busy = {one.slot for one in snapshot.deployments if one.environment == environment and is_live(one)}
        slot = next((slot for slot in spec.slots or () if slot not in busy), None)
        return Request("deploy", snapshot.service, environment, "", build.digests[0], slot)


def _blocking_evidence(question: Question) -> Iterable[RuleResult]:
    for rule in question.policy.document.rules:
        is_asked = rule.modes is None or "deployment" in rule.modes
        if rule.kind in EVIDENCE_KINDS and is_asked and question.is_ruled_by(rule):
            result = question.judge(question, rule)
            if result.finding.outcome in BLOCKING:
                yield result


def _bears_on(version: Version, build: Build) -> bool:
    """Whether a fact may change what is found about a build. Other builds and what is known of them do not."""
    if version.member == "builds":
        return version.id == build.id
    if version.member not in _OF_ONE_BUILD or version.fact is None:
        return True
    subject = version.fact.subject if version.member == "evidence" else version.fact
    return subject.digest in build.digests if subject.digest is not None else bool(subject.commit == build.commit)


def _hold(one: Replayed, blocking: Sequence[RuleResult], at: Instant) -> None:
    now = {result.id: result for result in blocking}
    for name, held in one.held.items():
        if name not in now and held.until is None:
            held.until = at
            held.held_ms += at - held.since
    for name, result in now.items():
        finding, before = result.finding, one.held.get(name)
        if before is None:
            one.held[name] = Held(name, result.kind, result.condition, finding.code, finding.message, at)
        else:
            before.code, before.message = finding.code, finding.message
            if before.until is not None:
                before.since, before.until = at, None
    one.standing = tuple(now)


def _name_unknown(one: Replayed, blocking: Sequence[RuleResult], flags: frozenset[str]) -> None:
    """Say of a flag that holds up because nobody can tell how it stood that this is why."""
    for result in blocking:
        if flags and result.kind == "flags_dark":
            held = one.held[result.id]
            held.code = UNKNOWN_FLAG
            held.message = f"nobody can tell any more how {', '.join(f'`{key}`' for key in sorted(flags))} stood then"


def _close(one: Replayed, at: Instant) -> None:
    """The end of the replay of a build that never would have gone."""
    for held in one.held.values():
        if held.until is None:
            held.until = at
            held.held_ms += at - held.since
