"""Calendars, soaking, parity, health and permits: a millisecond before, at, and after."""

from dataclasses import replace
from typing import Any

import pytest
from tests.unit.policy.situations import DAY, HOUR, NOW, at, changed, codes, decided, facts, green, instant, with_rules

from greenroom_server.policy.compiled import Policy
from greenroom_server.policy.facts import HealthReading, Incident, Parity, Permit, Scope
from greenroom_server.policy.fixtures import LIVE, NEW, Situation

STAGING = "staging-main-bb"
MORNING = {"type": "allow", "weekly": ["Mon-Fri 09:00-12:00"]}
NOON = {"type": "allow", "weekly": ["Mon-Fri 12:00-13:00"]}
FREEZE = {"type": "freeze", "weekly": ["Tue 11:00-11:30"]}


def calendars(rule: dict[str, Any], **named: dict[str, Any]) -> Policy:
    return with_rules({"kind": "calendar", "use": sorted(named), **rule}, calendars=named)


@pytest.mark.parametrize(
    ("named", "rule", "moment", "code", "retry"),
    [
        ({"morning": MORNING}, {}, "08:59:59.999", "calendar.closed", "2026-11-17T09:00"),
        ({"morning": MORNING}, {}, "09:00", None, None),
        ({"morning": MORNING}, {}, "11:59:59.999", None, None),
        ({"morning": MORNING}, {}, "12:00", "calendar.closed", "2026-11-18T09:00"),
        ({"morning": MORNING, "noon": NOON}, {"runway": "1h"}, "11:59", None, None),
        ({"morning": MORNING, "noon": NOON}, {"runway": "1h"}, "12:00", "calendar.closed", "2026-11-18T09:00"),
        ({"morning": MORNING}, {"runway": "5h"}, "09:30", "calendar.closed", None),
        ({"morning": MORNING, "stop": FREEZE}, {}, "10:59:59.999", None, None),
        ({"morning": MORNING, "stop": FREEZE}, {}, "11:00", "calendar.frozen", "2026-11-17T11:30"),
        ({"morning": MORNING, "stop": FREEZE}, {}, "11:30", None, None),
        ({"morning": MORNING, "stop": FREEZE}, {"runway": "1h"}, "09:59:59.999", None, None),
        ({"morning": MORNING, "stop": FREEZE}, {"runway": "1h"}, "10:00", "calendar.frozen", "2026-11-18T09:00"),
        ({"always": {"type": "freeze", "weekly": ["Mon-Sun"]}}, {}, "10:00", "calendar.frozen", None),
        ({"always": {"type": "allow", "weekly": ["Mon-Sun"]}}, {}, "10:00", None, None),
    ],
)
def test_calendar(
    named: dict[str, Any], rule: dict[str, Any], moment: str, code: str | None, retry: str | None
) -> None:
    """On a Tuesday; with a runway it must stay open without a break, whoever keeps it open."""
    decision = decided(green(at=instant(f"2026-11-17T{moment}+01:00")), calendars(rule, **named))

    assert codes(decision) == ({} if code is None else {"calendar": code})
    assert decision.retry_at == (None if retry is None else instant(f"{retry}+01:00"))


def test_one_off_window_that_is_over() -> None:
    """An allow window that never comes again keeps it closed for ever."""
    once = {"type": "allow", "from": "2026-11-01T00:00", "to": "2026-11-02T00:00"}

    decision = decided(green(), calendars({}, once=once))

    assert (codes(decision), decision.retry_at) == ({"calendar": "calendar.closed"}, None)


def test_window_is_told_in_local_time() -> None:
    """People read the time of their own clocks."""
    decision = decided(green(at=instant("2026-11-20T12:00+01:00")), calendars({}, morning=MORNING))

    assert decision.rules[0].finding.message.endswith("opens: Mon 23 Nov 2026 09:00 Europe/Berlin")
    assert decision.rules[0].finding.params["opens_at"] == "2026-11-23T08:00:00.000Z"


def test_two_calendars_that_open_in_turn() -> None:
    """Both rules must let it go, so what one opens tomorrow is of no use while the other is shut."""
    policy = with_rules(
        {"id": "one", "kind": "calendar", "use": ["morning"]},
        {"id": "two", "kind": "calendar", "use": ["late"]},
        calendars={"morning": MORNING, "late": {"type": "allow", "weekly": ["Tue 13:00-15:00", "Thu 11:00-15:00"]}},
    )

    assert decided(green(), policy).retry_at == instant("2026-11-19T11:00+01:00")


def soaking(incidents: tuple[Incident, ...] = (), **members: Any) -> Situation:
    situation = green()
    return facts(
        situation, deployments=changed(situation.snapshot.deployments, STAGING, **members), incidents=incidents
    )


SOAK = with_rules({"kind": "soak", "in": "staging", "for": "24h", "reset_on": ["incident"]})
CARELESS = with_rules({"kind": "soak", "in": "staging", "for": "24h"})


def incident(opened: int, resolved: int | None, **scope: str) -> tuple[Incident, ...]:
    return (Incident("i1", Scope(**scope), opened, 1, resolved),)


@pytest.mark.parametrize(
    ("situation", "code", "retry"),
    [
        (soaking(deployed_at=NOW - DAY), None, None),
        (soaking(deployed_at=NOW - DAY + 1), "soak.short", NOW + 1),
        (soaking(deployed_at=NOW - DAY, digest=LIVE), "soak.not_deployed", None),
        (soaking(deployed_at=NOW - DAY, has_failed=True), "soak.not_deployed", None),
        (soaking(deployed_at=NOW - 3 * DAY, removed_at=NOW - 2 * DAY), None, None),
        (soaking(deployed_at=NOW - 3 * DAY, removed_at=NOW - 2 * DAY - 1), "soak.ended", None),
        (soaking(incident(NOW - DAY, NOW - HOUR)), "soak.short", NOW + 23 * HOUR),
        (soaking(incident(NOW - DAY, None)), "soak.incident", None),
        (soaking(incident(NOW - DAY, None, environment="production")), None, None),
        (soaking(incident(NOW - DAY, None, digest=LIVE)), None, None),
        (soaking(incident(NOW - DAY, None, digest=NEW, environment="staging")), "soak.incident", None),
        (soaking(incident(NOW - DAY, None), deployed_at=NOW - 3 * DAY, removed_at=NOW - 2 * DAY), None, None),
        (soaking(incident(NOW - 9 * DAY, NOW - 8 * DAY)), None, None),
        (
            soaking(incident(NOW - 2 * DAY, NOW - DAY), deployed_at=NOW - 3 * DAY, removed_at=NOW - 1),
            "soak.ended",
            None,
        ),
    ],
)
def test_soak(situation: Situation, code: str | None, retry: int | None) -> None:
    """A day in staging in one go, since the last incident there."""
    decision = decided(situation, SOAK)

    assert (codes(decision).get("soak"), decision.retry_at) == (code, retry)


def test_incidents_matter_only_if_the_rule_says_so() -> None:
    """Without `reset_on` the time goes on."""
    assert decided(soaking(incident(NOW - DAY, None)), CARELESS).verdict == "allow"


@pytest.mark.parametrize(("gap", "code"), [(0, None), (1, "soak.short")])
def test_deployed_again(gap: int, code: str | None) -> None:
    """The same build deployed again without a gap has soaked all along."""
    situation = soaking(deployed_at=NOW - DAY, removed_at=NOW - HOUR)
    first = next(one for one in situation.snapshot.deployments if one.id == STAGING)
    again = replace(first, id="again", deployed_at=NOW - HOUR + gap, removed_at=None)

    decision = decided(facts(situation, deployments=(*situation.snapshot.deployments, again)), SOAK)

    assert codes(decision) == ({} if code is None else {"soak": code})


def test_deployed_again_and_removed() -> None:
    """Joined stretches end when the last of them does."""
    situation = soaking(deployed_at=NOW - 2 * DAY, removed_at=NOW - DAY - HOUR)
    first = next(one for one in situation.snapshot.deployments if one.id == STAGING)
    again = replace(first, id="again", deployed_at=NOW - DAY - HOUR, removed_at=NOW - DAY)

    decision = decided(facts(situation, deployments=(*situation.snapshot.deployments, again)), CARELESS)

    assert decision.verdict == "allow"


PARITY = with_rules({"kind": "parity"})


@pytest.mark.parametrize(
    ("age", "drift", "code"),
    [
        (7 * DAY - 1, (), None),
        (7 * DAY, (), "parity.stale"),
        (HOUR, ("kernel",), "parity.drift"),
    ],
)
def test_parity(age: int, drift: tuple[str, ...], code: str | None) -> None:
    """Staging was compared with production so long ago, and differed in this."""
    situation = facts(green(), parities=(Parity("p", "staging", "production", NOW - age, 1, drift),))

    decision = decided(situation, PARITY)

    assert codes(decision) == ({} if code is None else {"parity": code})
    assert decision.expires_at == (NOW - age + 7 * DAY if code is None else None)


def test_parity_of_nothing() -> None:
    """Where no environment has to be like it, nothing can be shown; neither without a comparison."""
    assert codes(decided(green(), with_rules({"kind": "parity", "of": "staging"}))) == {"parity": "parity.missing"}
    assert codes(decided(facts(green(), parities=()), PARITY)) == {"parity": "parity.missing"}


HEALTH = with_rules({"kind": "health", "sources": ["errors"], "max_age": "5m"})
READING = HealthReading("errors", "production", NOW - 60_000, 1, is_healthy=True)


@pytest.mark.parametrize(
    ("readings", "verdict", "code"),
    [
        ((READING,), "allow", None),
        ((), "wait", "health.missing"),
        ((replace(READING, is_healthy=None),), "wait", "health.missing"),
        ((replace(READING, at=NOW - 300_000),), "wait", "health.stale"),
        ((replace(READING, at=NOW - 299_999),), "allow", None),
        ((replace(READING, is_healthy=False),), "deny", "health.unhealthy"),
        ((READING, replace(READING, at=NOW, is_healthy=False)), "deny", "health.unhealthy"),
        ((replace(READING, environment="staging"),), "wait", "health.missing"),
        ((replace(READING, source="latency"),), "wait", "health.missing"),
    ],
)
def test_health(readings: tuple[HealthReading, ...], verdict: str, code: str | None) -> None:
    """No reading is no good reading."""
    decision = decided(facts(green(), health=readings), HEALTH)

    assert (decision.verdict, codes(decision).get("health")) == (verdict, code)


def permits(*untils: int, environment: str = "production") -> Situation:
    held = tuple(Permit(f"p{number}", environment, NEW, until, 1) for number, until in enumerate(untils))
    return facts(green(), permits=held)


@pytest.mark.parametrize(
    ("situation", "limit", "retry"),
    [
        (permits(NOW), 1, None),
        (permits(NOW + 1), 1, NOW + 1),
        (permits(NOW + 9, NOW + 5), 1, NOW + 9),
        (permits(NOW + 9, NOW + 5), 2, NOW + 5),
        (permits(NOW + 9, NOW + 5), 3, None),
        (permits(NOW + 9, environment="staging"), 1, None),
    ],
)
def test_concurrency(situation: Situation, limit: int, retry: int | None) -> None:
    """Open permits block until enough of them have lapsed."""
    decision = decided(situation, with_rules({"kind": "concurrency", "max": limit}))

    assert codes(decision) == ({} if retry is None else {"concurrency": "busy"})
    assert decision.retry_at == retry


def test_answer_turns_at_the_first_change_that_matters() -> None:
    """An answer that several things keep up holds as long as the first of them."""
    policy = with_rules(
        {"kind": "calendar", "use": ["morning"]},
        {"kind": "health", "sources": ["errors"], "max_age": "5m"},
        calendars={"morning": MORNING},
    )
    situation = facts(green(), health=(READING,))

    decision = decided(situation, policy)

    assert decision.expires_at == READING.at + 300_000
    assert decided(at(situation, decision.expires_at), policy).verdict == "wait"
