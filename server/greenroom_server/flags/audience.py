"""Whom a configuration reaches, in the words that releases are asked for and approved with. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from greenroom.evaluation.limits import FULL

EVERYBODY: Final = "all"
NOBODY: Final = "none"
SOME: Final = "some"
_MOST_CHARACTERS: Final = 200


class Reaching(Protocol):
    """What of a configuration decides whom it reaches."""

    @property
    def enabled(self) -> bool: ...
    @property
    def off_variant(self) -> str: ...
    @property
    def rules(self) -> Sequence[Mapping[str, Any]]: ...
    @property
    def fallthrough(self) -> Mapping[str, Any]: ...


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule, or the fallthrough as the last of them: it takes everybody, and has no id."""

    id: str
    when: Mapping[str, Any] | None
    rollout: Mapping[str, Any] | None
    serve: Mapping[str, Any]

    @property
    def is_last(self) -> bool:
        return not self.id


def audience_of(served: Reaching) -> str:
    """`all`, `none`, or who gets more than the dark variant, rule by rule: `25%`, `segment beta`, `rule berlin`."""
    if not served.enabled:
        return NOBODY
    found: list[str] = []
    for rule in rules_of(served):
        lit = sum(weight for name, weight in _weights(rule.serve) if name != served.off_variant)
        if lit and not takes_nobody(rule):
            found.append(_whom(rule, lit))
        if takes_everybody(rule):
            break
    if EVERYBODY in found:
        return EVERYBODY
    text = ", ".join(found)
    return (text if len(text) <= _MOST_CHARACTERS else SOME) or NOBODY


def rules_of(served: Reaching) -> list[Rule]:
    """The rules in their order, and the fallthrough at the end."""
    rules = [Rule(one["id"], one.get("when"), one.get("rollout"), one["serve"]) for one in served.rules]
    return [*rules, Rule("", None, None, served.fallthrough)]


def takes_nobody(rule: Rule) -> bool:
    return rule.rollout is not None and rule.rollout["percent"] == 0


def takes_everybody(rule: Rule) -> bool:
    """Whether nobody comes to the rules after it."""
    return rule.is_last or (rule.when is None and rule.rollout is None and not is_split(rule.serve))


def is_split(serve: Mapping[str, Any]) -> bool:
    return "split" in serve


def parts_of(serve: Mapping[str, Any]) -> list[str]:
    """The variants that somebody may get by it."""
    return [name for name, weight in _weights(serve) if weight > 0]


def _weights(serve: Mapping[str, Any]) -> list[tuple[str, int]]:
    if is_split(serve):
        return [(part["variant"], part["weight"]) for part in serve["split"]]
    return [(serve["variant"], FULL)]


def _whom(rule: Rule, lit: int) -> str:
    percent = FULL if rule.rollout is None else rule.rollout["percent"]
    if rule.when is None:
        share = percent * lit // FULL
        return EVERYBODY if share == FULL else f"{max(share, 1) / 1000:g}%"
    if set(rule.when) == {"segment"}:
        return f"segment {rule.when['segment']}"
    return f"rule {rule.id}"
