"""Every kind of rule a millisecond before, at, and after the instant at which it turns; those without one never do."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final, NamedTuple

import pytest
from tests.unit.policy.situations import DAY, HOUR, NOW, at, changed, decided, facts, green, instant, with_rules

from greenroom_server.policy.compiled import Policy
from greenroom_server.policy.facts import (
    Approval,
    BreakGlass,
    Deployment,
    HealthReading,
    Incident,
    Instant,
    Obstacle,
    Parity,
    Permit,
    Scope,
    Veto,
    Waiver,
)
from greenroom_server.policy.fixtures import FLAG, LIVE, NEW, STORY, Situation
from greenroom_server.policy.rules import RULES

STAGING: Final = "staging-main-bb"
SHOWN: Final = green("release").snapshot.demos[0].at
WINDOW: Final = {"type": "allow", "weekly": ["Tue 09:00-12:00"]}
FREEZE: Final = {"type": "freeze", "weekly": ["Tue 11:00-11:30"]}
AFTERWARDS: Final = 366 * DAY


class Turn(NamedTuple):
    """From `when` on the rule says another thing of the same facts; None is that it is met."""

    situation: Situation
    under: Policy
    when: Instant
    before: str | None
    then: str | None


class Moved(NamedTuple):
    """What the rule says, asked at one moment, where a fact's instant is a millisecond earlier, this one, and later."""

    situation: Callable[[int], Situation]
    under: Policy
    said: tuple[str | None, str | None, str | None]


def rule(kind: str, **members: Any) -> Policy:
    """The guide's policy with this rule alone."""
    calendars = members.pop("calendars", None)
    more = {} if calendars is None else {"calendars": calendars}
    return with_rules({"id": "it", "kind": kind, "actions": ["deploy", "release"], **members}, **more)


def code(situation: Situation, under: Policy) -> str | None:
    """What the rule under test says; None if it is met."""
    (finding,) = (one.finding for one in decided(situation, under).rules if one.id == "it")
    return None if finding.outcome in ("pass", "waived", "warn") else finding.code


def tuesday(clock: str) -> Instant:
    return instant(f"2026-11-17T{clock}+01:00")


def with_evidence(name: str, **members: Any) -> Situation:
    return facts(green(), evidence=changed(green().snapshot.evidence, name, **members))


def with_staging(action: Any = "deploy", **members: Any) -> Situation:
    situation = green(action)
    return facts(situation, deployments=changed(situation.snapshot.deployments, STAGING, **members))


def lit_and_done() -> Situation:
    """The flag is on and the story is done, as long as the acceptance tests are fresh."""
    situation = with_evidence("acceptance", finished_at=NOW - HOUR)
    return facts(situation, flags=changed(situation.snapshot.flags, FLAG, is_dark=False))


def approved(age: int) -> Situation:
    yes = Approval("a", "approve", "deploy", "production", "pat@example.com", ("product",), NOW - age, 1, digest=NEW)
    return facts(green(), approvals=(yes,))


def dark() -> Policy:
    """Stories must be dark or done, and these conditions show that they are done."""
    return with_rules(
        {"id": "it", "kind": "flags_dark"},
        {"id": "c1", "kind": "suites", "condition": "C1", "actions": ["release"]},
        {"id": "c2", "kind": "demo", "condition": "C2", "actions": ["release"]},
        {"id": "c3", "kind": "obstacles", "condition": "C3", "actions": ["release"]},
    )


def healthy() -> Situation:
    return facts(green(), health=(HealthReading("errors", "production", NOW, 1, is_healthy=True),))


def open_permit() -> Situation:
    return facts(green(), permits=(Permit("p", "production", NEW, NOW + HOUR, 1),))


def quiet_since(incident: Incident) -> Situation:
    return facts(with_staging(deployed_at=NOW - 3 * DAY), incidents=(incident,))


SOAK: Final = rule("soak", **{"in": "staging", "for": "24h", "reset_on": ["incident"]})
PARITY: Final = Parity("p", "staging", "production", NOW, 1)
TURNS: Final[dict[str, Turn]] = {
    "approval: its age": Turn(
        approved(HOUR), rule("approval", role="product", ttl="72h"), NOW + 71 * HOUR, None, "approval.expired"
    ),
    "calendar: opens": Turn(
        green(), rule("calendar", use=["w"], calendars={"w": WINDOW}), tuesday("09:00"), "calendar.closed", None
    ),
    "calendar: closes": Turn(
        green(), rule("calendar", use=["w"], calendars={"w": WINDOW}), tuesday("12:00"), None, "calendar.closed"
    ),
    "calendar: closes too soon": Turn(
        green(),
        rule("calendar", use=["w"], runway="10m", calendars={"w": WINDOW}),
        tuesday("11:50"),
        None,
        "calendar.closed",
    ),
    "calendar: freezes": Turn(
        green(), rule("calendar", use=["f"], calendars={"f": FREEZE}), tuesday("11:00"), None, "calendar.frozen"
    ),
    "calendar: thaws": Turn(
        green(), rule("calendar", use=["f"], calendars={"f": FREEZE}), tuesday("11:30"), "calendar.frozen", None
    ),
    "concurrency: a permit lapses": Turn(open_permit(), rule("concurrency", max=1), NOW + HOUR, "busy", None),
    "evidence: its age": Turn(
        with_evidence("test.security-1", finished_at=NOW),
        rule("evidence", evidence="test.security", max_age="30d"),
        NOW + 30 * DAY,
        None,
        "evidence.stale",
    ),
    "evidence: the age of a rehearsal": Turn(
        with_staging(deployed_at=NOW),
        rule("evidence", evidence="deploy.rehearsal", max_age="30d"),
        NOW + 30 * DAY,
        None,
        "evidence.stale",
    ),
    "flags_dark: a story that is not done any more": Turn(
        lit_and_done(), dark(), NOW - HOUR + 14 * DAY, None, "flag.not_dark"
    ),
    "health: the age of a reading": Turn(
        healthy(), rule("health", sources=["errors"], max_age="5m"), NOW + 300_000, None, "health.stale"
    ),
    "parity: its age": Turn(facts(green(), parities=(PARITY,)), rule("parity"), NOW + 7 * DAY, None, "parity.stale"),
    "soak: elapsed": Turn(with_staging(deployed_at=NOW), SOAK, NOW + DAY, "soak.short", None),
    "soak: elapsed since an incident": Turn(
        quiet_since(Incident("i", Scope(), NOW - DAY, 1, NOW)), SOAK, NOW + DAY, "soak.short", None
    ),
    "suites: the age of a run": Turn(
        with_evidence("acceptance", finished_at=NOW), rule("suites"), NOW + 14 * DAY, None, "evidence.stale"
    ),
}


def took(duration: int) -> Situation:
    return with_evidence("test.security-1", finished_at=NOW, started_at=NOW - duration)


def registered(later: int) -> Situation:
    """B beside A, which is live: neither grew from the other."""
    situation = green()
    live = replace(situation.snapshot.builds[0], commit="f6" * 20, commits=(), registered_at=NOW, seq=1)
    new = replace(situation.snapshot.builds[1], commits=(), registered_at=NOW + later, seq=3)
    return facts(situation, builds=(live, new))


def reopened(later: int) -> Situation:
    situation = green("release")
    return facts(situation, stories=changed(situation.snapshot.stories, STORY, reopened_at=SHOWN + later))


def compared(later: int, age: int) -> Situation:
    return facts(green("release"), parities=(replace(PARITY, at=SHOWN - age + later),))


def idle_beside(**live: Any) -> Situation:
    """Shown on the idle slot green, where B ran, while blue had the traffic of A."""
    situation = green("release")
    demos = changed(situation.snapshot.demos, "demo-1", environment="production", slot="green")
    others = tuple(one for one in situation.snapshot.deployments if one.environment != "production")
    idle = Deployment("g", "shop", "production", NEW, SHOWN - HOUR, 3, "green", live_from=NOW - HOUR)
    blue = Deployment("b", "shop", "production", LIVE, SHOWN - DAY, 2, "blue", live_from=SHOWN - DAY)
    return facts(situation, demos=demos, deployments=(*others, idle, replace(blue, **{"live_to": NOW - HOUR, **live})))


DEMO: Final = rule("demo")
NOT_LIKE: Final = "demo.not_production_like"
MOVES: Final[dict[str, Moved]] = {
    "demo: deployed for it": Moved(
        lambda ms: with_staging("release", deployed_at=SHOWN + ms), DEMO, (None, None, "demo.wrong_build")
    ),
    "demo: removed after it": Moved(
        lambda ms: with_staging("release", removed_at=SHOWN + ms), DEMO, ("demo.wrong_build", "demo.wrong_build", None)
    ),
    "demo: the story was reopened": Moved(reopened, DEMO, (None, None, "demo.wrong_build")),
    "demo: compared before it": Moved(lambda ms: compared(ms, 0), DEMO, (None, None, "parity.missing")),
    "demo: compared lately": Moved(lambda ms: compared(ms, 7 * DAY), DEMO, ("parity.stale", "parity.stale", None)),
    "demo: the other slot had the traffic": Moved(
        lambda ms: idle_beside(live_from=SHOWN + ms), DEMO, (None, None, NOT_LIKE)
    ),
    "demo: the other slot still had the traffic": Moved(
        lambda ms: idle_beside(live_to=SHOWN + ms), DEMO, (NOT_LIKE, NOT_LIKE, None)
    ),
    "evidence: how long it took": Moved(
        lambda ms: took(600_000 + ms),
        rule("evidence", evidence="test.security", max_duration="10m"),
        (None, None, "evidence.slow"),
    ),
    "evidence: how long the rehearsal took": Moved(
        lambda ms: with_staging(duration_ms=600_000 + ms),
        rule("evidence", evidence="deploy.rehearsal", max_duration="10m"),
        (None, None, "button.slow"),
    ),
    "order: registered before what is live": Moved(
        registered, rule("order", forbid_older_than_live=True), ("order.older_than_live", None, None)
    ),
    "soak: removed": Moved(
        lambda ms: with_staging(deployed_at=NOW - 3 * DAY, removed_at=NOW - 2 * DAY + ms),
        SOAK,
        ("soak.ended", None, None),
    ),
    "soak: an incident as it left": Moved(
        lambda ms: facts(
            with_staging(deployed_at=NOW - 3 * DAY, removed_at=NOW - 2 * DAY),
            incidents=(Incident("i", Scope(), NOW - 2 * DAY + ms, 1),),
        ),
        SOAK,
        ("soak.incident", None, None),
    ),
    "suites: the later of two runs": Moved(
        lambda ms: facts(green(), evidence=(*_unit_twice(ms),)),
        rule("suites", require=["unit"]),
        (None, "evidence.failed", "evidence.failed"),
    ),
}


def _unit_twice(later: int) -> tuple[Any, ...]:
    """A green run, and a second attempt that is red and finished so much later."""
    unit = next(one for one in green().snapshot.evidence if one.suite == "unit")
    return unit, replace(unit, id="again", outcome="fail", attempt=2, finished_at=unit.finished_at + later)


def half_live() -> Situation:
    situation = green("release")
    return facts(situation, deployments=changed(situation.snapshot.deployments, "production-blue-bb", digest=LIVE))


VETO: Final = Veto("v", Scope(), "zoe@example.com", NOW, 1)
OBSTACLE: Final = Obstacle("o", Scope(), NOW, 1)
UNTIMED: Final[dict[str, tuple[Situation, Policy, str | None]]] = {
    "flag_live: met": (green("release"), rule("flag_live"), None),
    "flag_live: not met": (half_live(), rule("flag_live"), "flag.build_not_live"),
    "obstacles: met": (facts(green(), obstacles=(replace(OBSTACLE, closed_at=NOW),)), rule("obstacles"), None),
    "obstacles: not met": (facts(green(), obstacles=(OBSTACLE,)), rule("obstacles"), "obstacle.open"),
    "order: met": (green(), rule("order"), None),
    "order: not met": (with_staging(digest=LIVE), rule("order"), "order.not_deployed"),
    "provenance: met": (green(), rule("provenance", builders=["ci://main"]), None),
    "provenance: not met": (green(), rule("provenance", builders=["laptop"]), "provenance.builder"),
    "slot: met": (green(), rule("slot"), None),
    "slot: not met": (green(), rule("slot", must_be="deployed"), "slot.not_deployed"),
    "veto: met": (facts(green(), vetoes=(replace(VETO, withdrawn_at=NOW),)), rule("veto"), None),
    "veto: not met": (facts(green(), vetoes=(VETO,)), rule("veto"), "veto"),
}


def test_every_kind_of_rule_is_here() -> None:
    """A new kind needs its boundaries, or the proof that it has none."""
    assert {name.partition(":")[0] for name in (*TURNS, *MOVES, *UNTIMED)} == set(RULES)


@pytest.mark.parametrize("name", TURNS)
def test_turns_at_its_instant(name: str) -> None:
    """Not a millisecond earlier and not later; and the answer before knew when."""
    situation, under, when, before, then = TURNS[name]

    said = [code(at(situation, when + ms), under) for ms in (-1, 0, 1)]
    decision = decided(at(situation, when - 1), under)

    assert said == [before, then, then]
    assert (decision.expires_at, decision.retry_at) == ((when, None) if before is None else (None, when))


@pytest.mark.parametrize("name", MOVES)
def test_facts_at_their_instant(name: str) -> None:
    """Intervals contain their start and not their end, and the last millisecond before that."""
    situation, under, said = MOVES[name]

    assert tuple(code(situation(ms), under) for ms in (-1, 0, 1)) == said


@pytest.mark.parametrize("name", UNTIMED)
def test_without_a_clock(name: str) -> None:
    """What no time changes is the same at the fact's own instant, around it, and a year later."""
    situation, under, said = UNTIMED[name]

    moments = (NOW - 1, NOW, NOW + 1, NOW + AFTERWARDS)
    decisions = [decided(at(situation, moment), under) for moment in moments]

    assert {code(at(situation, moment), under) for moment in moments} == {said}
    assert {(one.expires_at, one.retry_at) for one in decisions} == {(None, None)}


GLASS: Final = BreakGlass(
    "bg",
    "deploy",
    "production",
    NEW,
    ("ines@example.com", "omar@example.com"),
    ("incident-commander",),
    "down",
    NOW - HOUR,
    NOW + HOUR,
    1,
)


def red(**members: Any) -> Situation:
    return facts(with_evidence("acceptance", outcome="fail"), **members)


def reviewed_late(due: Instant) -> Situation:
    return facts(green(), break_glasses=(replace(GLASS, used_at=NOW - HOUR, review_due=due),))


ANYTHING: Final = {"id": "it", "kind": "suites"}
OVER_ALL: Final[dict[str, tuple[Situation, Policy, Instant, str, str]]] = {
    "a waiver ends": (
        red(waivers=(Waiver("w", "it", Scope("shop", "production"), NOW + HOUR, "pat@example.com", NOW, 1),)),
        with_rules(ANYTHING),
        NOW + HOUR,
        "allow",
        "deny",
    ),
    "a break-glass ends": (
        red(break_glasses=(GLASS,)),
        with_rules(ANYTHING, break_glass={"roles": ["incident-commander"]}),
        NOW + HOUR,
        "allow",
        "deny",
    ),
    "a review is due": (reviewed_late(NOW + HOUR), with_rules(ANYTHING), NOW + HOUR, "allow", "wait"),
    "a rule begins": (
        red(),
        with_rules({**ANYTHING, "effective_from": "2026-11-17T12:00"}, {"id": "clear", "kind": "obstacles"}),
        tuesday("12:00"),
        "allow",
        "deny",
    ),
}


@pytest.mark.parametrize("name", OVER_ALL)
def test_what_is_over_rules_turns_too(name: str) -> None:
    """Waivers, break-glass, reviews and beginnings, to the millisecond."""
    situation, under, when, before, then = OVER_ALL[name]

    assert [decided(at(situation, when + ms), under).verdict for ms in (-1, 0, 1)] == [before, then, then]
    assert decided(at(situation, when - 1), under).expires_at == when
