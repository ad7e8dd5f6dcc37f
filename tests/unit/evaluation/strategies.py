"""Hypothesis strategies: good flags of every shape, contexts of every kind, and arbitrary JSON."""

import os
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from tests.unit.evaluation.documents import flag, segment

ATTRIBUTES = ["targetingKey", "x", "y", "user.plan", "a.b.c"]
TEXTS = ["", "a", "A", "ab", "se", "SE", "ς", "Σ", "1", "true", "1.2.3", "1.2.3-rc.1", "2", "10.0.0.1", "::1"]
DATES = ["2026-11-23T05:00:00Z", "2026-11-23T06:00:00+01:00", "2020-02-29T00:00:00.5Z", "now", "now-30d", "now+2h"]
ZONES = ["UTC", "Europe/Stockholm", "America/New_York", "Australia/Lord_Howe"]
FLAG_KEYS = ["f", "g", "h"]
SEGMENT_KEYS = ["s", "t", "u"]
CASED = ("in", "contains", "starts_with", "ends_with", "matches")


def examples(number: int) -> settings:
    """So many examples; `FUZZ_FACTOR=50 pytest ...` searches longer."""
    return settings(
        max_examples=number * int(os.environ.get("FUZZ_FACTOR", "1")),
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )


numbers = st.sampled_from([-1, 0, 1, 2, 18, 1.0, 1.5, -0.0, 2**53, 1_795_410_000_000])
texts = st.sampled_from(TEXTS) | st.text(max_size=3).filter(lambda text: text.isprintable())
instants = st.integers(min_value=0, max_value=4_000_000_000_000)

values: dict[str, st.SearchStrategy[Any]] = {
    "in": texts | numbers | st.booleans(),
    "contains": texts,
    "starts_with": texts,
    "ends_with": texts,
    "matches": st.sampled_from(["a", "^a", "b$", "(?i)SE", "[0-9]+", "", ".", "^(a+)+$"]),
    "eq": numbers,
    "gt": numbers,
    "gte": numbers,
    "lt": numbers,
    "lte": numbers,
    "before": st.sampled_from(DATES) | numbers,
    "after": st.sampled_from(DATES) | numbers,
    "semver_eq": st.sampled_from(["1.2.3", "1.2.3-rc.1", "2", "1.2"]),
    "semver_gt": st.sampled_from(["1.2.3", "1.2.3-rc.1", "2", "1.2"]),
    "semver_gte": st.sampled_from(["1.2.3", "1.2.3-rc.1", "2", "1.2"]),
    "semver_lt": st.sampled_from(["1.2.3", "1.2.3-rc.1", "2", "1.2"]),
    "semver_lte": st.sampled_from(["1.2.3", "1.2.3-rc.1", "2", "1.2"]),
    "cidr": st.sampled_from(["10.0.0.0/8", "::/0", "10.0.0.1", "0.0.0.0/0"]),
}


@st.composite
def clauses(draw: st.DrawFn) -> Any:
    """A clause of any operator."""
    op = draw(st.sampled_from([*values, "exists", "within"]))
    if op == "exists":
        return {"attribute": draw(st.sampled_from(ATTRIBUTES)), "op": op}
    if op == "within":
        start, end = draw(st.sampled_from([("09:00", "17:00"), ("22:00", "06:00"), ("00:00", "24:00")]))
        return {"op": op, "values": [{"zone": draw(st.sampled_from(ZONES)), "from": start, "to": end}]}
    least = 0 if op == "in" else 1
    made: dict[str, Any] = {
        "attribute": draw(st.sampled_from(ATTRIBUTES)),
        "op": op,
        "values": draw(st.lists(values[op], min_size=least, max_size=3)),
    }
    if op in CASED and draw(st.booleans()):
        made["ignore_case"] = draw(st.booleans())
    return made


def conditions(segments: list[str]) -> st.SearchStrategy[Any]:
    """A nested condition that may name the segments."""
    leaves = clauses()
    if segments:
        leaves = leaves | st.sampled_from(segments).map(lambda key: {"segment": key})
    return st.recursive(
        leaves,
        lambda parts: (
            st.lists(parts, min_size=1, max_size=3).map(lambda made: {"all": made})
            | st.lists(parts, min_size=1, max_size=3).map(lambda made: {"any": made})
            | parts.map(lambda made: {"not": made})
        ),
        max_leaves=6,
    )


def bucketing() -> st.SearchStrategy[dict[str, str]]:
    """`bucket_by` and `group`, or neither."""
    return st.fixed_dictionaries(
        {}, optional={"bucket_by": st.sampled_from(ATTRIBUTES), "group": st.sampled_from(["", "g", "gr/ü"])}
    )


@st.composite
def serves(draw: st.DrawFn, names: list[str]) -> Any:
    """A variant, or a split of some of them in whole, per mille or odd weights."""
    if draw(st.booleans()):
        return {"variant": draw(st.sampled_from(names))}
    chosen = draw(st.lists(st.sampled_from(names), min_size=1, max_size=len(names), unique=True))
    unit = draw(st.sampled_from([1, 100, 10_000]))
    cuts = sorted(draw(st.integers(0, 100_000 // unit)) * unit for _ in chosen[1:])
    weights = [end - start for start, end in zip([0, *cuts], [*cuts, 100_000], strict=True)]
    split = [{"variant": name, "weight": weight} for name, weight in zip(chosen, weights, strict=True)]
    return {"split": split, **draw(bucketing())}


@st.composite
def rules(draw: st.DrawFn, names: list[str], segments: list[str]) -> Any:
    """Up to four rules."""
    made = []
    for number in range(draw(st.integers(0, 4))):
        one: dict[str, Any] = {"id": f"r-{number}", "serve": draw(serves(names))}
        if draw(st.booleans()):
            one["when"] = draw(conditions(segments))
        if draw(st.booleans()):
            percent = draw(st.sampled_from([0, 1, 25_000, 33_333, 50_000, 99_999, 100_000]))
            one["rollout"] = {"percent": percent, **draw(bucketing())}
        made.append(one)
    return made


@st.composite
def flags(draw: st.DrawFn, key: str, below: list[str], segments: list[str]) -> Any:
    """A flag that may have the flags below as prerequisites."""
    names = draw(st.sampled_from([["on", "off"], [f"v{number}" for number in range(12)]]))
    needed = draw(st.lists(st.sampled_from(below), max_size=2, unique=True)) if below else []
    shape: dict[str, Any] = {}
    if names[0] != "on":
        shape = {"type": "integer", "variants": {name: number for number, name in enumerate(names)}}
    return flag(
        key,
        enabled=draw(st.sampled_from([True, True, True, False])),
        off_variant=draw(st.sampled_from(names)),
        prerequisites=[{"flag": other, "variants": draw(st.sampled_from([["on"], ["off", "v1"]]))} for other in needed],
        rules=draw(rules(names, segments)),
        fallthrough=draw(serves(names)),
        **shape,
    )


@st.composite
def worlds(draw: st.DrawFn) -> tuple[list[Any], list[Any]]:
    """Three flags and three segments that name each other without going in circles; all are good."""
    made_segments = [
        segment(key, draw(conditions(SEGMENT_KEYS[index + 1 :]))) for index, key in enumerate(SEGMENT_KEYS)
    ]
    made_flags = [
        draw(flags(key, [*FLAG_KEYS[index + 1 :], "unknown"], SEGMENT_KEYS)) for index, key in enumerate(FLAG_KEYS)
    ]
    return made_flags, made_segments


class Hostile:
    """An object that raises wherever it is touched."""

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("not to be compared")

    def __hash__(self) -> int:
        raise RuntimeError("not to be hashed")


class HostileText(str):
    """Text that raises when it is compared or hashed."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("not to be compared")

    def __hash__(self) -> int:
        raise RuntimeError("not to be hashed")


plain = (
    texts
    | numbers
    | st.booleans()
    | st.none()
    | st.sampled_from(["2026-11-23T05:00:00Z", "now-30d", "e\u0301", "a\ud800", 2**53 + 1, 10**400, "x" * 9000])
    | st.floats()
    | st.builds(Hostile)
    | st.builds(HostileText, st.just("a"))
)
nested = st.recursive(
    plain,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["plan", "b", "c"]), inner, max_size=3)
        | st.lists(inner, max_size=2).map(tuple)
    ),
    max_leaves=4,
)
contexts = st.dictionaries(st.sampled_from([*ATTRIBUTES, "user", "a"]), nested, max_size=5)

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
