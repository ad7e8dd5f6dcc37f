"""The reference: evaluates a flag by walking its model, plainly and guarded against every context.

`explain` shows what it does, generated programs must agree with it, and it answers for them when a context makes them
stumble. One walk is for one context and one moment; it looks at each segment and each flag at most once.
"""

from collections.abc import Mapping
from typing import Any

from greenroom.evaluation.attributes import LISTS, guarded_attribute_of
from greenroom.evaluation.buckets import rollout_bucket, split_bucket, text_form
from greenroom.evaluation.model import (
    AllOf,
    AnyOf,
    Clause,
    Condition,
    Evaluation,
    Flag,
    Not,
    Rollout,
    Rule,
    Segment,
    Serve,
    Split,
)


class Walk:
    """Evaluates for one context at one moment. The flags and segments must be linked: acyclic and complete."""

    def __init__(self, flags: Mapping[str, Flag], segments: Mapping[str, Segment], context: Any, now_ms: int) -> None:
        self._flags = flags
        self._segments = segments
        self._context = context
        self._now_ms = now_ms
        self._evaluations: dict[str, Evaluation] = {}
        self._memberships: dict[str, bool] = {}

    def evaluate(self, flag: Flag) -> Evaluation:
        """The five steps, in order."""
        made = self._evaluations.get(flag.key)
        if made is None:
            made = self._evaluations[flag.key] = self._evaluate(flag)
        return made

    def _evaluate(self, flag: Flag) -> Evaluation:
        configuration = flag.configuration
        if configuration is None:
            return flag.evaluations[0]
        if not configuration.is_enabled:
            return configuration.off
        for prerequisite in configuration.prerequisites:
            if self.variant_of(prerequisite.flag) not in prerequisite.variants:
                return prerequisite.unmet
        for rule in configuration.rules:
            served = self.rule(rule)
            if served is not None:
                return served
        return self.serve(configuration.fallthrough) or configuration.key_missing

    def variant_of(self, key: str) -> str | None:
        """The variant that another flag serves; None if it serves none or does not exist."""
        flag = self._flags.get(key)
        return None if flag is None else self.evaluate(flag).variant

    def rule(self, rule: Rule) -> Evaluation | None:
        """What the rule serves, or None if it does not match."""
        if rule.when is not None and not self.holds(rule.when):
            return None
        if rule.rollout is not None and not self.inside(rule.rollout):
            return None
        return self.serve(rule.serve)

    def serve(self, serve: Serve) -> Evaluation | None:
        """The evaluation that is served; None if it splits and there is nothing to split by."""
        if isinstance(serve, Evaluation):
            return serve
        bucket = self.split_bucket(serve)
        if bucket is None:
            return None
        return next(made for bound, made in zip(serve.bounds, serve.evaluations, strict=True) if bucket < bound)

    def split_bucket(self, split: Split) -> int | None:
        """The bucket of the context in a split; None if the attribute is missing."""
        text = text_form(self.attribute(split.attribute))
        return None if text is None else split_bucket(split.group, text)

    def inside(self, rollout: Rollout) -> bool:
        """Whether the context falls inside the rollout."""
        bucket = self.rollout_bucket(rollout)
        return bucket is not None and bucket < rollout.percent

    def rollout_bucket(self, rollout: Rollout) -> int | None:
        """The bucket of the context in a rollout; None if the attribute is missing."""
        text = text_form(self.attribute(rollout.attribute))
        return None if text is None else rollout_bucket(rollout.group, text)

    def holds(self, condition: Condition) -> bool:
        """Whether the condition holds."""
        match condition:
            case Clause():
                return self.clause(condition)
            case AllOf():
                return all(self.holds(part) for part in condition.parts)
            case AnyOf():
                return any(self.holds(part) for part in condition.parts)
            case Not():
                return not self.holds(condition.part)
            case _:
                return self.segment(condition.key)

    def segment(self, key: str) -> bool:
        """Whether the context is in the segment."""
        known = self._memberships.get(key)
        if known is None:
            when = self._segments[key].when
            known = self._memberships[key] = when is not None and self.holds(when)
        return known

    def clause(self, clause: Clause) -> bool:
        """Whether the clause holds for the context."""
        if clause.attribute is None:
            return clause_holds(clause, True, self._now_ms)
        return clause_holds(clause, self.attribute(clause.attribute), self._now_ms)

    def attribute(self, name: str) -> Any:
        """The attribute's value, or None if it is missing."""
        return guarded_attribute_of(self._context, name)


def clause_holds(clause: Clause, value: Any, now_ms: int) -> bool:
    """Whether a clause holds for an attribute's value, or for any element if the value is a list; never raises."""
    if value is None:
        return False
    try:
        if clause.operator.takes_values and isinstance(value, LISTS):
            return any(element is not None and _holds(clause, element, now_ms) for element in value)
    except Exception:
        return False
    return _holds(clause, value, now_ms)


def _holds(clause: Clause, value: Any, now_ms: int) -> bool:
    try:
        return bool(clause.operator.test(clause.operand, value, now_ms))
    except Exception:
        return False
