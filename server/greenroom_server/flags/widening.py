"""Who might be served more than before: what a change of flags and segments in one environment does to their audiences.

A change is a *narrowing* if every context keeps what it was served or gets what was dark before, at every moment and
whatever the context holds; members of the internal segment as it was are looked past. It is a *widening* if that cannot
be proven. Pure; no context is ever evaluated here.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any, Final, Literal

from greenroom_server.flags.audience import Rule, is_split, parts_of, rules_of, takes_everybody, takes_nobody
from greenroom_server.flags.conditions import Prover, segments_in_rules
from greenroom_server.web.codec import write_json

Direction = Literal["same", "narrower", "wider"]
Label = Callable[[str], bytes]
_TARGETING_KEY: Final = "targetingKey"


@dataclass(frozen=True, slots=True)
class Served:
    """What of a flag decides who gets what in one environment."""

    key: str
    variants: Mapping[str, Any]
    client_visible: bool
    enabled: bool
    off_variant: str
    prerequisites: Sequence[Mapping[str, Any]]
    rules: Sequence[Mapping[str, Any]]
    fallthrough: Mapping[str, Any]

    def is_as(self, other: "Served") -> bool:
        """Whether both are written alike; to Python, true equals 1."""
        return self is other or (self == other and write_json(asdict(self)) == write_json(asdict(other)))

    def value_of(self, variant: str) -> bytes:
        """As text, which tells 1 from 1.0 and from true."""
        return write_json(self.variants[variant])


@dataclass(frozen=True, slots=True)
class World:
    """What an environment serves: flags that are not archived, and conditions of segments, by key.

    What is left out is not known, and so nothing is proven by it. All that might change must be there, with what stands
    on it.
    """

    flags: Mapping[str, Served]
    segments: Mapping[str, Any] = field(default_factory=dict)


def widened(before: World, after: World, internal_segment: str | None = None) -> dict[str, Direction]:
    """Each flag that might be served otherwise than before, be it for what it stands on, and which way it went."""
    comparison = _Comparison(before, after, internal_segment)
    found = {key: comparison.direction(key) for key in sorted(before.flags.keys() | after.flags.keys())}
    return {key: direction for key, direction in found.items() if direction != "same"}


def is_wider_segment(before: World, after: World, segment: str) -> bool:
    """Whether the segment might have members that it had not before."""
    prover, named = Prover(before.segments, after.segments), {"segment": segment}
    return segment in after.segments and not prover.implies(named, "after", named, "before")


class _Comparison:
    """Two worlds beside each other; remembers what was found out about flags that others stand on."""

    def __init__(self, before: World, after: World, internal_segment: str | None) -> None:
        self.before = before
        self.after = after
        self.prover = Prover(before.segments, after.segments)
        self.internal: Mapping[str, Any] | None = None if internal_segment is None else {"segment": internal_segment}
        self._directions: dict[str, Direction] = {}
        self._keeps_names: dict[str, bool] = {}
        self._untouched: dict[str, bool] = {}

    @cached_property
    def turned(self) -> "_Comparison":
        """The same, seen from what is now."""
        return _Comparison(self.after, self.before, None if self.internal is None else self.internal["segment"])

    def direction(self, key: str) -> Direction:
        if key not in self._directions:
            self._directions[key] = "wider"  # should flags stand on each other in a circle
            self._directions[key] = self._compared(self.before.flags.get(key), self.after.flags.get(key))
        return self._directions[key]

    def _compared(self, before: Served | None, after: Served | None) -> Direction:
        if after is None:
            return "narrower"
        if before is None:
            return "same" if self._is_dark(after) else "wider"
        if self.is_untouched(after.key):
            return "same"
        if not _Proof(self, before, after, before.value_of, after.value_of).holds():
            return "wider"
        return "same" if self._is_equal(before, after) else "narrower"

    def _is_equal(self, before: Served, after: Served) -> bool:
        """Whether nobody gets less either; then nothing was changed that anybody would notice."""
        if self._stands_on_changes(after):
            return False
        return _Proof(self.turned, after, before, after.value_of, before.value_of).holds()

    def is_untouched(self, key: str) -> bool:
        """Whether the flag is written as before, and so is all that it stands on."""
        if key not in self._untouched:
            self._untouched[key] = False  # should flags stand on each other in a circle
            before, after = self.before.flags.get(key), self.after.flags.get(key)
            if before is None or after is None:
                self._untouched[key] = before is after
            else:
                self._untouched[key] = before.is_as(after) and not self._stands_on_changes(after)
        return self._untouched[key]

    def _stands_on_changes(self, served: Served) -> bool:
        """Whether what it stands on was touched; an error in place of what is dark is a difference to others."""
        if not all(self.is_untouched(one["flag"]) for one in served.prerequisites):
            return True
        return not self.prover.changed.isdisjoint(segments_in_rules(served.rules))

    def keeps_names(self, key: str) -> bool:
        """Whether everybody is served the same variant as before by its name, or the dark one."""
        if key not in self._keeps_names:
            self._keeps_names[key] = False
            before, after = self.before.flags.get(key), self.after.flags.get(key)
            if before is None or after is None:
                self._keeps_names[key] = after is None
            else:
                is_kept = _Proof(self, before, after, str.encode, str.encode).holds
                self._keeps_names[key] = self.is_untouched(key) or is_kept()
        return self._keeps_names[key]

    def _is_dark(self, served: Served) -> bool:
        return _Proof(self, served, served, served.value_of, served.value_of).is_dark()

    def is_only_internal(self, rule: Rule) -> bool:
        """Whether nobody meets the rule but members of the internal segment as it was."""
        return self.internal is not None and self.prover.implies(rule.when, "after", self.internal, "before")


@dataclass(frozen=True, slots=True)
class _Proof:
    """That nobody is served more by `after` than by `before`: the labels, values or names, tell variants apart."""

    comparison: _Comparison
    before: Served
    after: Served
    label_before: Label
    label_after: Label

    @property
    def dark(self) -> bytes:
        return self.label_before(self.before.off_variant)

    def holds(self) -> bool:
        before, after = self.before, self.after
        if self.label_after(after.off_variant) != self.dark:
            return False
        if self.is_dark():
            return True
        if not before.enabled or (after.client_visible and not before.client_visible):
            return False
        return self._meets_prerequisites() and all(self._is_kept(place) for place in self._lit())

    def is_dark(self) -> bool:
        return not self.after.enabled or not any(self._lit())

    def _lit(self) -> Iterator["_Place"]:
        """The rules, the fallthrough among them, by which somebody might get more than the dark variant."""
        rules = rules_of(self.after)
        for number, rule in enumerate(rules):
            if takes_nobody(rule):
                continue
            lights = any(self.label_after(name) != self.dark for name in parts_of(rule.serve))
            if lights and not self.comparison.is_only_internal(rule):
                yield _Place(rule, rules[:number])
            if takes_everybody(rule):
                return

    def _is_kept(self, place: "_Place") -> bool:
        """Whether all who come to this rule were served the same before: by whichever rule took them."""
        for rule in rules_of(self.before):
            if takes_nobody(rule):
                continue
            is_as_before = self._serves_no_more(place.rule, rule)
            if is_as_before and self._takes(rule, "before", place.rule, "after"):
                return True
            if not is_as_before and not any(self._takes(one, "after", rule, "before") for one in place.earlier):
                return False
        return False

    def _takes(self, rule: Rule, side: Any, other: Rule, other_side: Any) -> bool:
        """Whether the rule takes everybody whom the other takes."""
        prover = self.comparison.prover
        if not prover.implies(other.when, other_side, rule.when, side):
            return False
        if rule.rollout is not None:
            mine, theirs = rule.rollout, other.rollout
            if theirs is None or self._bucket(mine) != self._bucket(theirs) or theirs["percent"] > mine["percent"]:
                return False
        return rule.is_last or not is_split(rule.serve) or _bucketed_by(rule.serve) in _had(other)

    def _serves_no_more(self, rule: Rule, earlier: Rule) -> bool:
        """Whether everybody whom both take is served by `rule` what `earlier` serves them, or the dark variant."""
        mine, theirs = rule.serve, earlier.serve
        if is_split(mine) and is_split(theirs) and self._bucket(mine) == self._bucket(theirs):
            return self._keeps_buckets(mine["split"], theirs["split"])
        lit = {self.label_after(name) for name in parts_of(mine)} - {self.dark}
        if len(lit) != 1 or {self.label_before(name) for name in parts_of(theirs)} != lit:
            return False
        # Who lacks what a last split is made by was served an error.
        return not (earlier.is_last and is_split(theirs)) or _bucketed_by(theirs) in _had(rule)

    def _keeps_buckets(self, mine: Sequence[Mapping[str, Any]], theirs: Sequence[Mapping[str, Any]]) -> bool:
        starts_mine, starts_theirs = _starts(mine), _starts(theirs)
        for start in {*starts_mine, *starts_theirs}:
            now = self.label_after(_at(starts_mine, start))
            if now not in (self.dark, self.label_before(_at(starts_theirs, start))):
                return False
        return True

    def _bucket(self, how: Mapping[str, Any]) -> tuple[str, str]:
        return how.get("bucket_by", _TARGETING_KEY), how.get("group", self.after.key)

    def _meets_prerequisites(self) -> bool:
        """Whether all who meet the prerequisites now met them before."""
        return all(
            self._was_met(one) or any(self._shrinks(one, now) for now in self.after.prerequisites)
            for one in self.before.prerequisites
        )

    def _was_met(self, one: Mapping[str, Any]) -> bool:
        served = self.comparison.before.flags.get(one["flag"])
        return served is not None and _is_constant(served) and served.off_variant in one["variants"]

    def _shrinks(self, one: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
        """Whether whoever meets the prerequisite `now` met `one` before."""
        if one["flag"] != now["flag"]:
            return False
        served = self.comparison.after.flags.get(one["flag"])
        if served is None:
            return False
        if _is_constant(served) and served.off_variant not in now["variants"]:
            return True  # nobody meets it
        if not set(now["variants"]) <= set(one["variants"]):
            return False
        if self.comparison.is_untouched(one["flag"]):
            return True
        return served.off_variant not in now["variants"] and self.comparison.keeps_names(one["flag"])


@dataclass(frozen=True, slots=True)
class _Place:
    """A rule, and those that are asked before it."""

    rule: Rule
    earlier: Sequence[Rule]


def _is_constant(served: Served) -> bool:
    """Whether everybody is served the dark variant: not an error, and not by a matter of luck."""
    if not served.enabled:
        return True
    return all(rule.serve == {"variant": served.off_variant} for rule in rules_of(served))


def _had(rule: Rule) -> set[str]:
    """The attributes that all have whom the rule takes."""
    had = set() if rule.rollout is None else {rule.rollout.get("bucket_by", _TARGETING_KEY)}
    return had | ({_bucketed_by(rule.serve)} if is_split(rule.serve) and not rule.is_last else set())


def _bucketed_by(serve: Mapping[str, Any]) -> str:
    return str(serve.get("bucket_by", _TARGETING_KEY))


def _starts(split: Sequence[Mapping[str, Any]]) -> dict[int, str]:
    """The variant by the bucket at which it begins, in their order."""
    found: dict[int, str] = {}
    start = 0
    for part in split:
        if part["weight"] > 0:
            found[start] = part["variant"]
            start += part["weight"]
    return found


def _at(starts: Mapping[int, str], bucket: int) -> str:
    return starts[max(start for start in starts if start <= bucket)]
