"""Reads a flag's configuration (`enabled`, `off_variant`, prerequisites, rules, fallthrough) into the model.

The evaluations that the flag can give are made here, once.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from greenroom.evaluation import limits, reasons
from greenroom.evaluation.conditions import clauses_of, read_condition, segments_of
from greenroom.evaluation.findings import Place
from greenroom.evaluation.model import Configuration, Evaluation, Prerequisite, Rollout, Rule, Serve, Split
from greenroom.evaluation.shapes import (
    FLAG_KEY,
    RULE_ID,
    read_boolean,
    read_integer,
    read_list,
    read_matching,
    read_object,
    read_text,
    read_variant,
)

REQUIRED_MEMBERS = ("enabled", "off_variant", "fallthrough")
CONFIGURATION_MEMBERS = (*REQUIRED_MEMBERS, "prerequisites", "rules")
DEFAULT_ATTRIBUTE = "targetingKey"


class Outcomes:
    """Makes the evaluations of one flag and remembers them."""

    def __init__(self, key: str, kind: str, version: int, variants: Mapping[str, Any]) -> None:
        self.key = key
        self.kind = kind
        self.version = version
        self.variants = variants
        self.made: list[Evaluation] = []

    def serve(self, variant: str, reason: str, **metadata: str) -> Evaluation:
        """The evaluation that serves a variant."""
        value = self.variants[variant]
        evaluation = Evaluation(self.key, value, variant, reason, None, None, self._metadata(metadata), self.kind)
        self.made.append(evaluation)
        return evaluation

    def error(self, code: str, message: str) -> Evaluation:
        """The evaluation that serves nothing."""
        evaluation = Evaluation(self.key, None, None, reasons.ERROR, code, message, self._metadata({}))
        self.made.append(evaluation)
        return evaluation

    def _metadata(self, more: Mapping[str, str]) -> Mapping[str, str | int | bool]:
        return MappingProxyType({"version": self.version, **more})


def read_configuration(document: Any, place: Place, outcomes: Outcomes) -> Configuration | None:
    """The configuration, or None if anything was reported."""
    before = len(place.found)
    if read_object(document, place, REQUIRED_MEMBERS, CONFIGURATION_MEMBERS) is None:
        return None
    is_enabled = read_boolean(document["enabled"], place.at("enabled"))
    off = read_variant(document["off_variant"], place.at("off_variant"), outcomes.variants)
    if off is None:
        return None
    dark = outcomes.serve(off, reasons.DISABLED)
    prerequisites = _prerequisites(document.get("prerequisites", []), place.at("prerequisites"), outcomes, off)
    rules = _rules(document.get("rules", []), place.at("rules"), outcomes)
    otherwise = reasons.DEFAULT if rules else reasons.STATIC
    fallthrough = _serve(document["fallthrough"], place.at("fallthrough"), outcomes, otherwise, {})
    if len(place.found) > before or fallthrough is None:
        return None
    attribute = fallthrough.attribute if isinstance(fallthrough, Split) else DEFAULT_ATTRIBUTE
    conditions = [rule.when for rule in rules if rule.when is not None]
    return Configuration(
        is_enabled=is_enabled,
        off=dark,
        prerequisites=prerequisites,
        rules=rules,
        fallthrough=fallthrough,
        key_missing=outcomes.error(
            reasons.TARGETING_KEY_MISSING, f"the context has no usable `{attribute}` to split by"
        ),
        failed=outcomes.error(reasons.GENERAL, "the flag could not be evaluated for this context"),
        segments=frozenset(key for condition in conditions for key in segments_of(condition)),
        uses_clock=any(clause.uses_clock for condition in conditions for clause in clauses_of(condition)),
    )


def _prerequisites(document: Any, place: Place, outcomes: Outcomes, off: str) -> tuple[Prerequisite, ...]:
    prerequisites: list[Prerequisite] = []
    seen: set[str] = set()
    for index, element in enumerate(read_list(document, place, "prerequisites", limits.MAX_PREREQUISITES)):
        here = place.at(index)
        if read_object(element, here, ("flag", "variants")) is None:
            continue
        flag = read_matching(element["flag"], here.at("flag"), FLAG_KEY)
        if flag and (flag in seen or flag == outcomes.key):
            here.at("flag").report("is the flag itself" if flag == outcomes.key else "is named twice")
        seen.add(flag)
        names = read_list(element["variants"], here.at("variants"), "variants", limits.MAX_VARIANTS, may_be_empty=False)
        variants = [read_text(name, here.at("variants").at(at)) for at, name in enumerate(names)]
        unmet = outcomes.serve(off, reasons.DISABLED, cause=reasons.CAUSE_PREREQUISITE, prerequisite=flag)
        prerequisites.append(Prerequisite(flag, frozenset(variants), unmet))
    return tuple(prerequisites)


def _rules(document: Any, place: Place, outcomes: Outcomes) -> tuple[Rule, ...]:
    rules: list[Rule] = []
    seen: set[str] = set()
    for index, element in enumerate(read_list(document, place, "rules", limits.MAX_RULES)):
        rule = _rule(element, place.at(index), outcomes)
        if rule is not None:
            if rule.id in seen:
                place.at(index).at("id").report(f"`{rule.id}` is the id of an earlier rule")
            seen.add(rule.id)
            rules.append(rule)
    return tuple(rules)


def _rule(document: Any, place: Place, outcomes: Outcomes) -> Rule | None:
    if read_object(document, place, ("id", "serve"), ("description", "when", "rollout")) is None:
        return None
    key = read_matching(document["id"], place.at("id"), RULE_ID)
    description = document.get("description")
    if description is not None:
        read_text(description, place.at("description"), may_be_empty=True)
    when = read_condition(document["when"], place.at("when")) if "when" in document else None
    rollout = _rollout(document["rollout"], place.at("rollout"), outcomes.key) if "rollout" in document else None
    reason = reasons.SPLIT if rollout is not None else reasons.TARGETING_MATCH
    serve = _serve(document["serve"], place.at("serve"), outcomes, reason, {"rule": key})
    return None if serve is None else Rule(key, description, when, rollout, serve)


def _rollout(document: Any, place: Place, flag_key: str) -> Rollout | None:
    if read_object(document, place, ("percent",), ("bucket_by", "group")) is None:
        return None
    percent = read_integer(document["percent"], place.at("percent"), limits.FULL)
    attribute, group = _bucketing(document, place, flag_key)
    return Rollout(attribute, group, percent)


def _bucketing(document: dict[str, Any], place: Place, flag_key: str) -> tuple[str, str]:
    attribute = read_text(document.get("bucket_by", DEFAULT_ATTRIBUTE), place.at("bucket_by"))
    group = read_text(document.get("group", flag_key), place.at("group"), may_be_empty=True)
    return attribute, group


def _serve(document: Any, place: Place, outcomes: Outcomes, reason: str, metadata: dict[str, str]) -> Serve | None:
    if isinstance(document, dict) and "split" in document:
        return _split(document, place, outcomes, metadata)
    if read_object(document, place, ("variant",)) is None:
        return None
    variant = read_variant(document["variant"], place.at("variant"), outcomes.variants)
    return None if variant is None else outcomes.serve(variant, reason, **metadata)


def _split(document: dict[str, Any], place: Place, outcomes: Outcomes, metadata: dict[str, str]) -> Split:
    read_object(document, place, ("split",), ("bucket_by", "group"))
    here = place.at("split")
    parts = read_list(document["split"], here, "variants", limits.MAX_VARIANTS, may_be_empty=False)
    total, bounds, evaluations, seen = 0, [], [], set()
    for index, part in enumerate(parts):
        if read_object(part, here.at(index), ("variant", "weight")) is None:
            continue
        total += read_integer(part["weight"], here.at(index).at("weight"), limits.FULL)
        variant = read_variant(part["variant"], here.at(index).at("variant"), outcomes.variants)
        if variant is None:
            continue
        if variant in seen:
            here.at(index).at("variant").report(f"`{variant}` is named twice")
        seen.add(variant)
        bounds.append(total)
        evaluations.append(outcomes.serve(variant, reasons.SPLIT, **metadata))
    if total != limits.FULL:
        here.report(f"the weights add up to {total} and not to {limits.FULL}")
    attribute, group = _bucketing(document, place, outcomes.key)
    return Split(attribute, group, tuple(bounds), tuple(evaluations))
