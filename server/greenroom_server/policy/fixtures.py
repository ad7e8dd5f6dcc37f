"""A build of which everything is well, made to fit a policy: what its tests and the worked examples start from.

Build B (`sha256:bb…`) has grown from build A (`sha256:aa…`), which is live in the target. All evidence that the policy
asks for is green and fresh, every environment before the target has run B for as long as any rule wants, everybody who
must approve did, and B's one new story was demonstrated, hangs on a flag, and the flag is dark.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from greenroom_server.policy.applicability import is_production_like, selected
from greenroom_server.policy.document import (
    ApprovalRule,
    DemoRule,
    EvidenceRule,
    HealthRule,
    PolicyDocument,
    ProvenanceRule,
    SoakRule,
)
from greenroom_server.policy.facts import (
    Acceptance,
    Action,
    Approval,
    Build,
    Commit,
    Counts,
    Demo,
    Deployment,
    Environment,
    Evidence,
    FlagState,
    HealthReading,
    Instant,
    Mode,
    Parity,
    Provenance,
    Request,
    Snapshot,
    Story,
    Subject,
)

if TYPE_CHECKING:  # compiling lints the tests of a policy, which start from these
    from greenroom_server.policy.compiled import Policy

HOUR: Final = 3_600_000
DAY: Final = 24 * HOUR

LIVE: Final = "sha256:" + "aa" * 32
NEW: Final = "sha256:" + "bb" * 32
OLD_COMMIT: Final = "a1" * 20
NEW_COMMIT: Final = "b2" * 20
STORY: Final = "shop-1"
FLAG: Final = "new-checkout"
AUDIENCE: Final = "everybody"
AUTHOR: Final = "ada@example.com"
REQUESTER: Final = "release-bot@example.com"
REHEARSAL: Final = "deploy.rehearsal"
SEQ: Final = 1000
SHOWN: Final = 2 * HOUR  # so long ago B was demonstrated


@dataclass(frozen=True, slots=True)
class Situation:
    """What a fixture gives to a decision, but for the policy: facts, a request, and the moment."""

    snapshot: Snapshot
    request: Request
    now: Instant


def green_build(policy: "Policy", at: Instant, action: Action = "deploy", to: str | None = None) -> Situation:
    """Everything that the policy could want for an action, at a moment; without `to`, in its last environment."""
    document = policy.document
    target = to or max(document.environments, key=lambda key: (document.environments[key].order, key))
    request = _request(document, action, target)
    return Situation(_snapshot(document, at, request), request, at)


def green_build_snapshot(policy: "Policy", at: Instant, action: Action = "deploy", to: str | None = None) -> Snapshot:
    """The facts of `green_build` alone."""
    return green_build(policy, at, action, to).snapshot


def with_mode(situation: Situation, mode: Mode) -> Situation:
    """The same in another mode of the service."""
    return replace(situation, snapshot=replace(situation.snapshot, mode=mode))


def _request(document: PolicyDocument, action: Action, target: str) -> Request:
    slots = _slots(document, target)
    is_release = action in ("release", "darken")
    return Request(
        action=action,
        service=document.name,
        environment=target,
        requester=REQUESTER,
        digest=None if is_release else LIVE if action == "rollback" else NEW,
        slot=None if is_release else slots[-1],
        flag=FLAG if is_release else None,
        audience=AUDIENCE if action == "release" else None,
    )


def _slots(document: PolicyDocument, environment: str) -> tuple[str | None, ...]:
    spec = document.environments.get(environment)
    return (spec.slots if spec else ()) or (None,)


def _snapshot(document: PolicyDocument, at: Instant, request: Request) -> Snapshot:
    deployments = tuple(_deployments(document, at, request))
    running = tuple(one for one in deployments if one.digest == NEW and one.removed_at is None)
    return Snapshot(
        project="example",
        service=document.name,
        seq=SEQ,
        mode="delivery",
        builds=_builds(document, at),
        stories=(Story(STORY, flags=(FLAG,), latest_commit=NEW_COMMIT),),
        environments=tuple(
            Environment(key, spec.order, spec.tier, is_production_like(key, document), spec.slots)
            for key, spec in document.environments.items()
        ),
        deployments=deployments,
        evidence=(*_suites(document, at, running), *_other_evidence(document, at)),
        demos=tuple(_demos(document, at, running)),
        parities=tuple(_parities(document, at)),
        provenances=tuple(_provenances(document)),
        approvals=tuple(_approvals(document, at, request)),
        flags=tuple(FlagState(FLAG, key, is_dark=True, revision=1) for key in document.environments),
        health=tuple(_health(document, at, request)),
    )


def _builds(document: PolicyDocument, at: Instant) -> tuple[Build, ...]:
    old = Commit(OLD_COMMIT, authors=("grace@example.com",))
    new = Commit(NEW_COMMIT, authors=(AUTHOR,), stories=(STORY,))
    soaked = _soaked(document)
    return (
        Build("build-a", document.name, (LIVE,), OLD_COMMIT, 1, at - soaked - 60 * DAY, (old,)),
        Build("build-b", document.name, (NEW,), NEW_COMMIT, 3, at - soaked - 2 * HOUR, (old, new), (STORY,)),
    )


def _soaked(document: PolicyDocument) -> int:
    """How long B has run: longer than any rule of kind `soak` wants, and at least a day."""
    return max([DAY, *(rule.for_ for rule in document.rules if isinstance(rule, SoakRule))]) + HOUR


def _deployments(document: PolicyDocument, at: Instant, request: Request) -> Iterator[Deployment]:
    begun = at - _soaked(document)
    long_ago = begun - 59 * DAY
    target = document.environments.get(request.environment)
    soaks = {rule.in_ for rule in document.rules if isinstance(rule, SoakRule)}
    for key, spec in sorted(document.environments.items(), key=lambda entry: (entry[1].order, entry[0])):
        slots = _slots(document, key)
        if key == request.environment:
            yield from _in_target(request, slots, long_ago, at)
        elif key in soaks or (target and spec.order <= target.order):
            yield _deployment(document.name, key, slots[0], NEW, begun)
        else:
            yield _deployment(document.name, key, slots[0], LIVE, long_ago)


def _in_target(request: Request, slots: tuple[str | None, ...], long_ago: Instant, at: Instant) -> Iterator[Deployment]:
    """A is live, or was until B took its place an hour ago; before a switch B waits in the slot beside."""
    service, key, recently = request.service, request.environment, at - HOUR
    if request.action in ("deploy", "switch"):
        yield _deployment(service, key, slots[0], LIVE, long_ago)
    if request.action == "switch":
        yield replace(_deployment(service, key, request.slot, NEW, recently), live_from=None)
    if request.action in ("release", "darken", "rollback"):
        last = slots[-1]
        yield replace(_deployment(service, key, last, LIVE, long_ago), live_to=recently, removed_at=recently)
        for slot in slots if request.action != "rollback" else slots[:1]:
            yield _deployment(service, key, slot, NEW, recently)


def _deployment(service: str, environment: str, slot: str | None, digest: str, at: Instant) -> Deployment:
    """By push-button and live at once."""
    return Deployment(
        id=f"{environment}-{slot or 'main'}-{digest[7:9]}",
        service=service,
        environment=environment,
        digest=digest,
        deployed_at=at,
        seq=2 if digest == LIVE else 4,
        slot=slot,
        live_from=at,
        duration_ms=1000,
    )


def _evidence(kind: str, finished_at: Instant, suite: str | None = None) -> Evidence:
    return Evidence(
        id=f"{suite or kind}-1",
        kind=kind,
        subject=Subject(digest=NEW),
        outcome="pass",
        finished_at=finished_at,
        received_at=finished_at,
        seq=5,
        suite=suite,
        run=f"{suite or kind}-run",
        started_at=finished_at,
        producer="ci",
    )


def _suites(document: PolicyDocument, at: Instant, running: tuple[Deployment, ...]) -> Iterator[Evidence]:
    for key, suite in document.suites.items():
        wanted = selected(suite.environment, document)
        ran_in = next((one for one in running if one.environment in wanted), None) if suite.environment else None
        yield replace(
            _evidence(suite.kind, at - _fresh(suite.max_age), key),
            subject=Subject(commit=NEW_COMMIT) if suite.bind == "commit" else Subject(digest=NEW),
            environment=ran_in.environment if ran_in else None,
            slot=ran_in.slot if ran_in else None,
            counts=Counts(total=120, passed=120),
            suite_definition=suite.definition,
        )


def _other_evidence(document: PolicyDocument, at: Instant) -> Iterator[Evidence]:
    """One for each kind that rules of kind `evidence` name; rehearsals are told by the deployments."""
    ages: dict[str, int] = {}
    for rule in document.rules:
        if isinstance(rule, EvidenceRule):
            for kind in {rule.evidence or REHEARSAL, *(rule.all_of or ())} - {REHEARSAL}:
                ages[kind] = min(ages.get(kind, HOUR), _fresh(rule.max_age))
    for kind, age in ages.items():
        yield _evidence(kind, at - age)


def _fresh(max_age: int | None) -> int:
    """An age that is allowed: an hour, or half of what is."""
    return min(HOUR, (max_age or DAY) // 2)


def _demos(document: PolicyDocument, at: Instant, running: tuple[Deployment, ...]) -> Iterator[Demo]:
    roles = {role: None for rule in document.rules if isinstance(rule, DemoRule) for role in rule.roles}
    when = at - SHOWN
    alike = {key for key in document.environments if is_production_like(key, document)}
    shown = [one for one in running if one.environment in alike and one.deployed_at <= when]
    for deployment in shown[:1]:
        yield Demo(
            id="demo-1",
            stories=(STORY,),
            environment=deployment.environment,
            at=when,
            seq=6,
            slot=deployment.slot,
            audience=tuple(roles),
            accepted_by=tuple(Acceptance(f"{role}-1@example.com", role, when) for role in roles),
        )


def _parities(document: PolicyDocument, at: Instant) -> Iterator[Parity]:
    for key, spec in document.environments.items():
        if spec.parity:
            age = _fresh(spec.parity.max_age)
            yield Parity(f"parity-{key}", key, spec.parity.of, at - age, 7)
            yield Parity(f"parity-{key}-at-demo", key, spec.parity.of, at - SHOWN - age, 5)


def _provenances(document: PolicyDocument) -> Iterator[Provenance]:
    for rule in document.rules:
        if isinstance(rule, ProvenanceRule):
            branch = rule.branches[0] if rule.branches else None
            yield Provenance(f"provenance-{rule.id}", NEW, rule.builders[0], 8, NEW_COMMIT, branch, is_verified=True)


def _approvals(document: PolicyDocument, at: Instant, request: Request) -> Iterator[Approval]:
    for rule in document.rules:
        if not isinstance(rule, ApprovalRule):
            continue
        for number in range(1, rule.count + 1):
            yield Approval(
                id=f"approval-{rule.id}-{number}",
                verdict="approve",
                action=request.action,
                environment=request.environment,
                person=f"{rule.id}-{number}@example.com",
                roles=(rule.role,),
                at=at - _fresh(rule.ttl),
                seq=9,
                digest=request.digest or NEW,
                flag=request.flag,
                audience=request.audience,
            )


def _health(document: PolicyDocument, at: Instant, request: Request) -> Iterator[HealthReading]:
    for rule in document.rules:
        if isinstance(rule, HealthRule):
            for source in rule.sources:
                yield HealthReading(source, request.environment, at - _fresh(rule.max_age), 10, is_healthy=True)
