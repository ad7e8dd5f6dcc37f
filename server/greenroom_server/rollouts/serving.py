"""How a step of a release looks in a flag's configuration.

A release owns up to two rules at the end, under ids of its own: one for segments, one for a share of the others. When
everyone is reached, the fallthrough serves the variant and the rules are gone. What stood there before stays in front.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from greenroom_server.rollouts.plan import Reach

Config = Mapping[str, Any]
"""A configuration as its author writes it (`flags.documents.configured`)."""


@dataclass(frozen=True, slots=True)
class Part:
    """A flag of a release: the variant that goes live. `group`: those who share it get the flags together."""

    flag: str
    variant: str
    bucket_by: str | None = None
    group: str | None = None


@dataclass(frozen=True, slots=True)
class Owner:
    """The release that owns the rules, and the project's internal segment."""

    release: str
    internal_segment: str | None

    def owns(self, rule: Mapping[str, Any]) -> bool:
        return rule["id"] in (self.rule_id, self.share_id)

    @property
    def rule_id(self) -> str:
        return f"release.{self.release}"

    @property
    def share_id(self) -> str:
        return f"{self.rule_id}.share"


def wanted(owner: Owner, part: Part, reach: Reach, base: Config, current: Config) -> dict[str, Any]:
    """`current` with what the step serves. `base` is what stood there before the release began."""
    rules = [rule for rule in current["rules"] if not owner.owns(rule)]
    if reach.is_nobody:
        return {**current, "enabled": base["enabled"], "rules": rules, "fallthrough": base["fallthrough"]}
    if reach.is_everyone:
        return {**current, "enabled": True, "rules": rules, "fallthrough": {"variant": part.variant}}
    others = base["fallthrough"] if base["enabled"] else {"variant": base["off_variant"]}
    return {**current, "enabled": True, "rules": [*rules, *_rules(owner, part, reach)], "fallthrough": others}


def narrowed(wanted_: Config, written: Config, current: Config) -> dict[str, Any]:
    """For ways back: whatever somebody else changed since `written` was written stays as it is, off above all."""
    kept = {name: current[name] for name in ("enabled", "fallthrough") if current[name] != written[name]}
    return {**wanted_, **kept}


def lights_when_enabled(config: Config) -> bool:
    """Whether a flag that is off has rules that would serve more than the dark variant once it is on."""
    dark = {"variant": config["off_variant"]}
    return not config["enabled"] and any(rule["serve"] != dark for rule in config["rules"])


def _rules(owner: Owner, part: Part, reach: Reach) -> list[dict[str, Any]]:
    rules: list[dict[str, Any]] = []
    serve = {"variant": part.variant}
    segments = list(dict.fromkeys((*([owner.internal_segment] if reach.is_internal else []), *reach.segments)))
    if segments:
        named = [{"segment": key} for key in segments]
        rules.append({"id": owner.rule_id, "when": named[0] if len(named) == 1 else {"any": named}, "serve": serve})
    if reach.percent:
        bucket = {name: value for name, value in (("bucket_by", part.bucket_by), ("group", part.group)) if value}
        rules.append({"id": owner.share_id, "rollout": {"percent": reach.percent, **bucket}, "serve": serve})
    return rules
