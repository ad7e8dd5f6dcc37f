"""What is in a condition, and whether one implies another: told only where it can be proven. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, Literal

from greenroom_server.web.codec import write_json

Side = Literal["before", "after"]
When = Mapping[str, Any] | None
"""A condition as its author writes it; None holds for everybody."""

# So many steps of one proof; whoever writes conditions that need more is not proven right.
MAX_STEPS: Final = 100_000
_MAX_DEPTH: Final = 150
# From a threshold to what it implies: whoever is past the one is past the other.
_HIGHER: Final = {("gt", "gt"), ("gt", "gte"), ("gte", "gte")}
_LOWER: Final = {("lt", "lt"), ("lt", "lte"), ("lte", "lte")}


def segments_in(condition: Any, at: str = "") -> Iterator[tuple[str, str]]:
    """The keys of the segments that a condition names, each with its JSON Pointer."""
    if not isinstance(condition, Mapping):
        return
    if isinstance(condition.get("segment"), str):
        yield condition["segment"], f"{at}/segment"
    for group in ("all", "any"):
        parts = condition.get(group)
        for index, part in enumerate(parts if isinstance(parts, list) else ()):
            yield from segments_in(part, f"{at}/{group}/{index}")
    yield from segments_in(condition.get("not"), f"{at}/not")


def segments_in_rules(rules: Iterable[Mapping[str, Any]]) -> set[str]:
    """The keys of the segments that rules name."""
    return {key for rule in rules for key, _ in segments_in(rule.get("when"))}


class Prover:
    """Proves things about conditions of two sides, whose segments may differ. Both must be free of circles.

    Nothing is proven by way of a segment that is not there.
    """

    def __init__(self, before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
        self._segments: dict[Side, Mapping[str, Any]] = {"before": before, "after": after}
        self._proven: dict[tuple[int, Side, int, Side], bool] = {}
        self._texts: dict[int, tuple[Any, bytes]] = {}
        self._steps = 0
        self._depth = 0
        self.changed = self._changed()

    def _changed(self) -> frozenset[str]:
        """The segments that may have other members than before, by themselves or through others."""
        before, after = self._segments["before"], self._segments["after"]
        keys = before.keys() | after.keys()
        shared = before.keys() & after.keys()
        found = (keys - shared) | {key for key in shared if not self._same(before[key], after[key])}
        size = -1
        while size != len(found):
            size = len(found)
            found |= {key for key, when in after.items() if any(name in found for name, _ in segments_in(when))}
        return frozenset(found)

    def is_stale(self, condition: When) -> bool:
        """Whether the condition names a segment that may have other members than before."""
        return bool(self.changed) and any(key in self.changed for key, _ in segments_in(condition))

    def implies(self, one: When, side: Side, other: When, other_side: Side) -> bool:
        """Whether everybody who meets `one` meets `other` too, at every moment. False if that is not seen."""
        if other is None:
            return True
        if one is None:
            return False
        known = (id(one), side, id(other), other_side)
        if known not in self._proven:
            self._steps += 1
            if self._steps > MAX_STEPS or self._depth > _MAX_DEPTH:
                return False
            self._keep(one, other)
            self._depth += 1
            self._proven[known] = self._implies(one, side, other, other_side)
            self._depth -= 1
        return self._proven[known]

    def _implies(self, one: Mapping[str, Any], side: Side, other: Mapping[str, Any], other_side: Side) -> bool:
        if self._same(one, other) and (side == other_side or not self.is_stale(one)):
            return True
        if "all" in other:
            return all(self.implies(one, side, part, other_side) for part in other["all"])
        if "any" in one:
            return all(self.implies(part, side, other, other_side) for part in one["any"])
        if "all" in one and any(self.implies(part, side, other, other_side) for part in one["all"]):
            return True
        if "any" in other and any(self.implies(one, side, part, other_side) for part in other["any"]):
            return True
        if "segment" in one:
            inner = self._segments[side].get(one["segment"])
            return inner is not None and self.implies(inner, side, other, other_side)
        if "segment" in other:
            inner = self._segments[other_side].get(other["segment"])
            return inner is not None and self.implies(one, side, inner, other_side)
        if "not" in one and "not" in other:
            return self.implies(other["not"], other_side, one["not"], side)
        return "op" in one and "op" in other and self._narrows(one, other)

    def _narrows(self, one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
        """Whether one clause implies another about the same attribute."""
        if one.get("attribute") != other.get("attribute"):
            return False
        values, others = one.get("values", []), other.get("values", [])
        if one["op"] == other["op"] and one.get("ignore_case", False) == other.get("ignore_case", False):
            texts = {self._text(value) for value in others}
            if all(self._text(value) in texts for value in values):
                return True
        step = (one["op"], other["op"])
        if not (step in _HIGHER or step in _LOWER) or not all(map(_is_number, (*values, *others))):
            return False
        return all(any(a >= b if step in _HIGHER else a <= b for b in others) for a in values)

    def _same(self, one: Any, other: Any) -> bool:
        """Whether both are written alike; 1 is not 1.0 and not true."""
        return one is other or self._text(one) == self._text(other)

    def _text(self, value: Any) -> bytes:
        if not isinstance(value, Mapping):
            return write_json(value)
        self._keep(value)
        held = self._texts[id(value)]
        if not held[1]:
            held = self._texts[id(value)] = (value, write_json(value))
        return held[1]

    def _keep(self, *conditions: Mapping[str, Any]) -> None:
        """Hold on to what is known by its id."""
        for condition in conditions:
            self._texts.setdefault(id(condition), (condition, b""))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
