"""The fixture of the worked examples, and what is changed in it."""

from dataclasses import replace
from datetime import datetime
from functools import cache
from typing import Any

from tests.unit.policy.documents import shop

from greenroom_server.policy.compiled import Policy, compile_policy, load_policy
from greenroom_server.policy.decide import decide
from greenroom_server.policy.decision import Decision
from greenroom_server.policy.facts import Action, Instant
from greenroom_server.policy.fixtures import Situation, green_build

HOUR = 3_600_000
DAY = 24 * HOUR


def instant(text: str) -> Instant:
    """Of a time with an offset, such as `2026-11-17T10:00+01:00`."""
    moment = datetime.fromisoformat(text)
    assert moment.tzinfo is not None
    return round(moment.timestamp() * 1000)


NOW = instant("2026-11-17T10:00+01:00")  # a Tuesday


@cache
def policy() -> Policy:
    """The policy of the guide."""
    return compile_policy(shop(), 7)


def with_rules(*rules: dict[str, Any], **members: Any) -> Policy:
    """The guide's policy with these rules and no others; nothing in them has to make sense together."""
    kept = [{"actions": ["deploy"], "id": rule["kind"].replace("_", "-"), **rule} for rule in rules]
    document = {**shop(), **members, "rules": kept}
    del document["tests"]
    document.pop("break_glass" if "break_glass" not in members else "", None)
    return load_policy({name: value for name, value in document.items() if value is not None}, 1)


def only(*ids: str, **members: Any) -> Policy:
    """The guide's policy with some of its rules."""
    document = shop()
    return with_rules(*(rule for rule in document["rules"] if rule["id"] in ids), **members)


def green(action: Action = "deploy", at: Instant = NOW, under: Policy | None = None) -> Situation:
    """All is well, as the guide's policy sees it."""
    return green_build(under or policy(), at, action, "production")


def facts(situation: Situation, **members: Any) -> Situation:
    """The same with other facts."""
    return replace(situation, snapshot=replace(situation.snapshot, **members))


def asking(situation: Situation, **members: Any) -> Situation:
    """The same with another request."""
    return replace(situation, request=replace(situation.request, **members))


def at(situation: Situation, moment: Instant) -> Situation:
    """The same facts, asked about at another moment."""
    return replace(situation, now=moment)


def decided(situation: Situation, under: Policy | None = None) -> Decision:
    """What is decided under the guide's policy, or another."""
    return decide(situation.snapshot, situation.request, under or policy(), situation.now)


def codes(decision: Decision) -> dict[str, str]:
    """Rule -> code, of those that are not plainly met."""
    return {one.id: one.finding.code for one in decision.rules if one.finding.outcome != "pass"}


def outcomes(decision: Decision) -> dict[str, str]:
    """Rule -> outcome, of those that are not plainly met."""
    return {one.id: one.finding.outcome for one in decision.rules if one.finding.outcome != "pass"}


def changed(facts: tuple[Any, ...], name: str, **members: Any) -> tuple[Any, ...]:
    """The facts, of which the one with this id, key or suite is another."""
    assert any(_is(one, name) for one in facts), f"no fact {name} to change"
    return tuple(replace(one, **members) if _is(one, name) else one for one in facts)


def without(facts: tuple[Any, ...], name: str) -> tuple[Any, ...]:
    """The facts without the one with this id, key or suite."""
    assert any(_is(one, name) for one in facts), f"no fact {name} to remove"
    return tuple(one for one in facts if not _is(one, name))


def _is(fact: Any, name: str) -> bool:
    return name in (getattr(fact, "id", None), getattr(fact, "key", None), getattr(fact, "suite", None))
