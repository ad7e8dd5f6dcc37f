"""Random facts about a small world, and policies out of many rules, for the laws of decisions."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any, TypeVar

from hypothesis import strategies as st
from tests.unit.policy.situations import DAY, HOUR, NOW, with_rules

from greenroom_server.policy import facts as fact
from greenroom_server.policy.compiled import Policy
from greenroom_server.policy.facts import Snapshot
from greenroom_server.policy.fixtures import FLAG, LIVE, NEW, STORY, Situation, green_build

T = TypeVar("T")

OTHER = "sha256:" + "cc" * 32
DIGESTS = (LIVE, NEW, OTHER)
PEOPLE = ("ann@example.com", "ANN@example.com", "bob@example.com", "Cyd <cyd@example.com>", "ada@example.com", "bot")
KINDS = ("test.unit", "test.acceptance", "test.security", "sbom", "deploy.rehearsal")
ENVIRONMENTS = ("staging", "production")
SLOTS = (None, "blue", "green")

ALL = ["deploy", "switch", "release", "rollback"]
CALENDARS = {
    "office": {"type": "allow", "weekly": ["Mon-Thu 09:00-16:00", "Fri 09:00-12:00"]},
    "evening": {"type": "allow", "weekly": ["Mon-Fri 16:00-20:00", "Sun 10:00-11:00"]},
    "weekend": {"type": "freeze", "weekly": ["Fri 18:00-Mon 08:00"]},
    "nightly": {"type": "freeze", "weekly": ["02:00-02:30"]},
    "xmas": {"type": "freeze", "from": "2026-12-18T18:00", "to": "2027-01-04T08:00"},
    "soon": {"type": "freeze", "from": "2026-11-17T12:00", "to": "2026-11-18T12:00"},
}
RULES: tuple[dict[str, Any], ...] = (
    {"id": "suite", "kind": "suites", "condition": "C1", "max_attempts": 2, "max_skipped_percent": 10},
    {"id": "unit", "kind": "suites", "require": ["unit"]},
    {"id": "shown", "kind": "demo", "condition": "C2"},
    {"id": "button", "kind": "evidence", "condition": "C3", "evidence": "deploy.rehearsal", "max_age": "3d"},
    {"id": "quick", "kind": "evidence", "evidence": "deploy.rehearsal", "max_duration": "10m"},
    {"id": "secure", "kind": "evidence", "evidence": "test.security", "max_age": "36h"},
    {"id": "sbom", "kind": "evidence", "evidence": "sbom", "effective_from": "2026-11-19T00:00"},
    {"id": "like", "kind": "parity", "of": "production"},
    {"id": "open", "kind": "obstacles", "condition": "C3"},
    {"id": "origin", "kind": "provenance", "builders": ["ci://main"], "waivable": False},
    {"id": "order", "kind": "order", "forbid_older_than_live": True},
    {"id": "soak", "kind": "soak", "in": "staging", "for": "24h", "reset_on": ["incident"]},
    {"id": "long", "kind": "soak", "in": "staging", "for": "3d"},
    {"id": "office", "kind": "calendar", "use": ["office", "nightly"], "runway": "10m"},
    {"id": "evening", "kind": "calendar", "use": ["evening"], "runway": "30m"},
    {"id": "either", "kind": "calendar", "use": ["office", "evening", "soon"], "runway": "5h"},
    {"id": "frozen", "kind": "calendar", "use": ["weekend", "xmas"], "runway": "1h"},
    {"id": "product", "kind": "approval", "role": "product", "ttl": "72h", "distinct_from": ["author", "requester"]},
    {"id": "customer", "kind": "approval", "role": "customer", "ttl": "24h"},
    {"id": "later", "kind": "approval", "role": "product", "effective_from": "2026-11-18T00:00"},
    {"id": "anybody", "kind": "approval", "role": "product", "count": 2, "ttl": "5d", "reuse_person": True},
    {
        "id": "calm",
        "kind": "approval",
        "role": "product",
        "modes": ["delivery"],
        "distinct_from": ["evidence_producer"],
    },
    {"id": "dark", "kind": "flags_dark"},
    {"id": "live", "kind": "flag_live"},
    {"id": "slot", "kind": "slot", "must_be": "idle"},
    {"id": "room", "kind": "concurrency", "max": 2},
    {"id": "veto", "kind": "veto"},
    {"id": "health", "kind": "health", "sources": ["errors"], "max_age": "12h"},
)


@cache
def everything() -> Policy:
    """All the rules in one document."""
    rules = [{**rule, "actions": ALL, "environments": ["production"]} for rule in RULES]
    glass = {"roles": ["incident-commander"], "confirm_by": 2, "never": ["origin"]}
    return with_rules(*rules, calendars=CALENDARS, break_glass=glass)


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    """Some of the rules, in any order."""
    made = everything()
    rules = draw(st.lists(st.sampled_from(made.document.rules), unique_by=lambda rule: rule.id, min_size=2, max_size=8))
    document = made.document.model_copy(update={"rules": tuple(rules)})
    return replace(made, document=document)


def instants(before: int = 5 * DAY, after: int = 0) -> st.SearchStrategy[int]:
    """Around the moment asked about: whole hours, single milliseconds, and anything."""
    hours = st.integers(-before // HOUR, after // HOUR).map(lambda hour: NOW + hour * HOUR)
    return st.one_of(hours, hours.map(lambda at: at + 1), st.integers(NOW - before, NOW + after))


def maybe(strategy: st.SearchStrategy[T]) -> st.SearchStrategy[T | None]:
    return st.one_of(st.none(), strategy)


def of(*things: T) -> st.SearchStrategy[T]:
    return st.sampled_from(things)


def some(strategy: st.SearchStrategy[T], most: int = 3) -> st.SearchStrategy[tuple[T, ...]]:
    return st.lists(strategy, min_size=1, max_size=most).map(tuple)


digests = of(*DIGESTS)
scopes = st.builds(fact.Scope, maybe(of("shop", "other")), maybe(of(*ENVIRONMENTS)), maybe(digests))
counts = st.builds(
    fact.Counts, *(st.integers(0, 9) for _ in range(2)), st.just(0), st.just(0), st.integers(0, 2), st.just(0)
)
evidence = st.builds(
    fact.Evidence,
    id=st.uuids().map(str),
    kind=of(*KINDS),
    subject=st.builds(fact.Subject, maybe(digests), maybe(of("b2" * 20, "a1" * 20))),
    outcome=of("pass", "pass", "pass", "fail", "error", "cancelled"),
    finished_at=instants(),
    received_at=instants(),
    seq=st.integers(1, 99),
    suite=maybe(of("unit", "component", "acceptance")),
    environment=maybe(of(*ENVIRONMENTS)),
    counts=maybe(counts),
    attempt=st.integers(1, 3),
    started_at=maybe(instants()),
    producer=of(*PEOPLE),
    is_automated=st.booleans(),
    revoked_at=of(None, None, None, NOW),
)
deployments = st.builds(
    fact.Deployment,
    id=st.uuids().map(str),
    service=st.just("shop"),
    environment=of(*ENVIRONMENTS),
    digest=digests,
    deployed_at=instants(),
    seq=st.integers(1, 99),
    slot=of(*SLOTS),
    removed_at=maybe(instants()),
    live_from=maybe(instants()),
    live_to=maybe(instants()),
    manual_steps=of(0, 0, 1),
    duration_ms=maybe(st.integers(0, 900_000)),
    has_failed=of(False, False, True),
)
demos = st.builds(
    fact.Demo,
    id=st.uuids().map(str),
    stories=of((STORY,), ("shop-2",), (STORY, "shop-2")),
    environment=of(*ENVIRONMENTS),
    at=instants(),
    seq=st.integers(1, 99),
    slot=of(*SLOTS),
    accepted_by=some(st.builds(fact.Acceptance, of(*PEOPLE), of("customer", "developer"), instants()), 2),
)
parities = st.builds(
    fact.Parity,
    id=st.uuids().map(str),
    environment=st.just("staging"),
    of=st.just("production"),
    at=instants(10 * DAY),
    seq=st.integers(1, 99),
    drift=of((), (), ("kernel",)),
)
approvals = st.builds(
    fact.Approval,
    id=st.uuids().map(str),
    verdict=of("approve", "approve", "approve", "reject"),
    action=of("deploy", "deploy", "release"),
    environment=of("production", "production", "staging"),
    person=of(*PEOPLE),
    roles=of(("product",), ("customer",), ("product", "customer"), ()),
    at=instants(4 * DAY),
    seq=st.integers(1, 99),
    digest=maybe(digests),
    flag=of(FLAG, None),
    audience=of("everybody", None),
    on_behalf_of=maybe(of(*PEOPLE)),
    withdrawn_at=of(None, None, NOW),
)
waivers = st.builds(
    fact.Waiver,
    id=st.uuids().map(str),
    rule=of("suite", "soak", "product", "office", "secure", "later", "customer", "origin", "order", "evening"),
    scope=of(fact.Scope("shop", "production"), fact.Scope(None, "production", NEW), fact.Scope("shop")),
    until=instants(DAY, 9 * DAY),
    person=of(*PEOPLE),
    at=instants(),
    seq=st.integers(1, 99),
)
glasses = st.builds(
    fact.BreakGlass,
    id=st.uuids().map(str),
    action=of("deploy", "release"),
    environment=st.just("production"),
    digest=of(NEW, NEW, LIVE),
    confirmed_by=of(("bob@example.com", "eve@example.com"), ("bob@example.com", "cyd@example.com")),
    roles=of(("incident-commander",), ("incident-commander",), ("developer",)),
    reason=of("it burns", "it burns", ""),
    at=instants(4 * HOUR),
    until=instants(HOUR, 9 * HOUR),
    seq=st.integers(1, 99),
    used_at=of(None, None, None, NOW - 47 * HOUR),
    review_due=maybe(instants(0, 3 * DAY)),
    reviewed_at=maybe(instants()),
)
permits = st.builds(
    fact.Permit, st.uuids().map(str), of(*ENVIRONMENTS), digests, instants(HOUR, HOUR), st.integers(1, 99)
)
incidents = st.builds(fact.Incident, st.uuids().map(str), scopes, instants(), st.integers(1, 99), maybe(instants()))
obstacles = st.builds(
    fact.Obstacle, st.uuids().map(str), scopes, instants(), st.integers(1, 99), closed_at=maybe(instants())
)
vetoes = st.builds(
    fact.Veto,
    id=st.uuids().map(str),
    scope=scopes,
    person=of(*PEOPLE),
    at=instants(),
    seq=st.integers(1, 99),
    withdrawn_at=maybe(instants()),
)
readings = st.builds(
    fact.HealthReading, of("errors", "latency"), st.just("production"), instants(), st.integers(1, 99),
    is_healthy=of(True, True, True, False, None),
)  # fmt: skip


@st.composite
def situations(draw: st.DrawFn) -> Situation:
    """The fixture, with facts added to it, and some of its own taken away."""
    actions: tuple[fact.Action, ...] = ("deploy", "deploy", "deploy", "release", "switch", "rollback")
    action = draw(of(*actions))
    made = green_build(everything(), NOW, action, "production")
    slot = draw(of(made.request.slot, *SLOTS)) if action != "release" else None
    request = replace(made.request, slot=slot, scheduled_for=draw(of(None, None, None, NOW + DAY, NOW + 4 * DAY)))
    return Situation(draw(snapshots(made.snapshot)), request, NOW)


@st.composite
def snapshots(draw: st.DrawFn, start: Snapshot) -> Snapshot:
    """Random facts beside those of a snapshot, most of which stay."""

    def kept(held: tuple[T, ...], more: st.SearchStrategy[T], most: int = 2) -> tuple[T, ...]:
        dropped = draw(of(set(), {0}, {1}, {0, 1, 2}))
        return (*(one for place, one in enumerate(held) if place not in dropped), *draw(some(more, most)))

    third = fact.Build("build-c", "shop", (OTHER,), "c3" * 20, 2, NOW - 9 * DAY, (fact.Commit("c3" * 20),))
    add: dict[str, Callable[[], Any]] = {
        "evidence": lambda: kept(start.evidence, evidence),
        "deployments": lambda: kept(start.deployments, deployments),
        "demos": lambda: kept(start.demos, demos),
        "parities": lambda: kept(start.parities, parities),
        "approvals": lambda: kept(start.approvals, approvals, 4),
        "waivers": lambda: draw(some(waivers)),
        "break_glasses": lambda: draw(some(glasses)),
        "permits": lambda: draw(some(permits)),
        "incidents": lambda: draw(some(incidents, 1)),
        "obstacles": lambda: draw(some(obstacles, 1)),
        "vetoes": lambda: draw(some(vetoes, 1)),
        "health": lambda: kept(start.health, readings, 1),
        "flags": lambda: tuple(replace(flag, is_dark=draw(st.booleans())) for flag in start.flags),
        "mode": lambda: draw(of("delivery", "deployment", "hold")),
        "builds": lambda: (*start.builds, third),
        "aliases": lambda: {"bob@example.com": "cyd@example.com"},
        "inactive_people": lambda: frozenset(["ann@example.com"]),
    }
    often = ("break_glasses", "waivers", "approvals", "evidence", "permits", "deployments")
    chosen = draw(st.lists(of(*add, *often), unique=True, min_size=3, max_size=9))
    return replace(start, **{name: add[name]() for name in chosen})
