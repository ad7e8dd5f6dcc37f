"""Explains one evaluation: the same five steps as the reference walk, written down with the truth of every part.

A segment is explained once, under `segments`, however often conditions name it.
"""

from dataclasses import dataclass
from typing import Any

from greenroom.evaluation.evaluate import evaluate
from greenroom.evaluation.findings import shown
from greenroom.evaluation.limits import MAX_INTEGER
from greenroom.evaluation.model import (
    AllOf,
    AnyOf,
    Clause,
    Condition,
    Evaluation,
    Flag,
    Not,
    Prerequisite,
    Rollout,
    Rule,
    Serve,
    Split,
)
from greenroom.evaluation.snapshot import Snapshot
from greenroom.evaluation.walk import Walk

MAX_VALUES_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Explanation:
    """The steps up to the one that decided, the segments that were looked at, and the result."""

    flag_key: str
    steps: list[dict[str, Any]]
    segments: dict[str, dict[str, Any]]
    evaluation: Evaluation

    def to_dict(self) -> dict[str, Any]:
        """As JSON-able data."""
        made = self.evaluation
        result = {
            "value": made.value,
            "variant": made.variant,
            "reason": made.reason,
            "error_code": made.error_code,
            "error_message": made.error_message,
            "metadata": dict(made.metadata),
        }
        return {"flag": self.flag_key, "steps": self.steps, "segments": self.segments, "result": result}


def explain(snapshot: Snapshot, flag_key: str, context: Any, now_ms: int) -> Explanation:
    """Why the flag is what it is for this context; the result is always that of `evaluate`."""
    flag = snapshot.flags.get(flag_key)
    if flag is None:
        return Explanation(
            flag_key, [{"step": "flag", "found": False}], {}, evaluate(snapshot, flag_key, context, now_ms)
        )
    teller = _Teller(snapshot, Walk(snapshot.flags, snapshot.segments, context, now_ms))
    evaluation = teller.tell(flag)
    return Explanation(flag_key, teller.steps, teller.segments, evaluation)


class _Teller:
    """Goes through one flag step by step and writes down what the walk says of each part."""

    def __init__(self, snapshot: Snapshot, walk: Walk) -> None:
        self.steps: list[dict[str, Any]] = []
        self.segments: dict[str, dict[str, Any]] = {}
        self._snapshot = snapshot
        self._walk = walk

    def tell(self, flag: Flag) -> Evaluation:
        configuration = flag.configuration
        if configuration is None:
            self.steps.append({"step": "flag", "found": True, "error": flag.error})
            return flag.evaluations[0]
        self.steps.append({"step": "enabled", "enabled": configuration.is_enabled})
        if not configuration.is_enabled:
            return configuration.off
        for prerequisite in configuration.prerequisites:
            if not self._prerequisite(prerequisite):
                return prerequisite.unmet
        for rule in configuration.rules:
            served = self._rule(rule)
            if served is not None:
                return served
        step: dict[str, Any] = {"step": "fallthrough"}
        self.steps.append(step)
        return self._serve(configuration.fallthrough, step) or configuration.key_missing

    def _prerequisite(self, prerequisite: Prerequisite) -> bool:
        served = self._walk.variant_of(prerequisite.flag)
        is_met = served in prerequisite.variants
        self.steps.append(
            {
                "step": "prerequisite",
                "flag": prerequisite.flag,
                "variants": sorted(prerequisite.variants),
                "found": prerequisite.flag in self._snapshot.flags,
                "served": served,
                "met": is_met,
            }
        )
        return is_met

    def _rule(self, rule: Rule) -> Evaluation | None:
        step: dict[str, Any] = {"step": "rule", "rule": rule.id, "description": rule.description}
        self.steps.append(step)
        matches = True
        if rule.when is not None:
            step["when"] = self._condition(rule.when)
            matches = step["when"]["holds"]
        if matches and rule.rollout is not None:
            step["rollout"] = self._rollout(rule.rollout)
            matches = step["rollout"]["inside"]
        served = self._serve(rule.serve, step) if matches else None
        step["matched"] = served is not None
        return served

    def _rollout(self, rollout: Rollout) -> dict[str, Any]:
        bucket = self._walk.rollout_bucket(rollout)
        return {
            **self._subject(rollout),
            "bucket": bucket,
            "percent": rollout.percent,
            "inside": bucket is not None and bucket < rollout.percent,
        }

    def _serve(self, serve: Serve, step: dict[str, Any]) -> Evaluation | None:
        served = self._walk.serve(serve)
        if isinstance(serve, Split):
            step["split"] = {
                **self._subject(serve),
                "bucket": self._walk.split_bucket(serve),
                "weights": [
                    {"variant": made.variant, "weight": bound - before}
                    for made, bound, before in zip(serve.evaluations, serve.bounds, (0, *serve.bounds), strict=False)
                ],
            }
        step["served"] = None if served is None else served.variant
        return served

    def _subject(self, by: Rollout | Split) -> dict[str, Any]:
        value = self._walk.attribute(by.attribute)
        return {"attribute": by.attribute, "missing": value is None, "value": _plain(value), "group": by.group}

    def _condition(self, condition: Condition) -> dict[str, Any]:
        match condition:
            case Clause():
                return self._clause(condition)
            case AllOf():
                parts = [self._condition(part) for part in condition.parts]
                return {"all": parts, "holds": all(part["holds"] for part in parts)}
            case AnyOf():
                parts = [self._condition(part) for part in condition.parts]
                return {"any": parts, "holds": any(part["holds"] for part in parts)}
            case Not():
                part = self._condition(condition.part)
                return {"not": part, "holds": not part["holds"]}
            case _:
                return {"segment": condition.key, "holds": self._segment(condition.key)}

    def _segment(self, key: str) -> bool:
        if key not in self.segments:
            when = self._snapshot.segments[key].when
            self.segments[key] = {"holds": False} if when is None else self._condition(when)
        holds: bool = self.segments[key]["holds"]
        return holds

    def _clause(self, clause: Clause) -> dict[str, Any]:
        told: dict[str, Any] = {"op": clause.operator.name, "values": clause.values[:MAX_VALUES_SHOWN]}
        if len(clause.values) > MAX_VALUES_SHOWN:
            told["values_total"] = len(clause.values)
        if clause.ignore_case:
            told["ignore_case"] = True
        if clause.attribute is not None:
            value = self._walk.attribute(clause.attribute)
            told |= {"attribute": clause.attribute, "missing": value is None, "value": _plain(value)}
        told["holds"] = self._walk.clause(clause)
        return told


def _plain(value: Any) -> Any:
    """A context's value as JSON-able data: scalars as they are, everything else as short text."""
    kind = type(value)
    if value is None or kind is bool:
        return value
    if kind is int or kind is float:
        return value if -MAX_INTEGER <= value <= MAX_INTEGER else shown(value)[1:-1]
    if kind is str:
        return shown(value)[1:-1] if len(value) > 80 or not value.isascii() else value
    if kind is list and len(value) <= MAX_VALUES_SHOWN:
        return [_plain(element) if type(element) is not list else shown(element)[1:-1] for element in value]
    return shown(value)[1:-1]
