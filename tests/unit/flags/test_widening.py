"""Who might be served more than before: told by looking at what was written, and held to what the engine serves."""

import copy
from typing import Any, Final

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.unit.evaluation.documents import clause, flag, rule, segment, snapshot
from tests.unit.evaluation.strategies import conditions, contexts, examples, instants, rules, serves, worlds

from greenroom.evaluation import evaluate
from greenroom_server.flags import widening
from greenroom_server.flags.widening import Direction, Served, World, is_wider_segment, widened

Json = dict[str, Any]
INTERNAL: Final = "s"
MEMBERS: Final = tuple(name for name in Served.__dataclass_fields__)
HALF: Final = {"percent": 50_000}
QUARTER: Final = {"percent": 25_000}
OFF: Final = {"variant": "off"}
IN_BERLIN: Final = clause("in", "berlin", "potsdam")
BETA: Final = {"segment": "beta"}


def world(*flags: Json, segments: list[Json] | None = None) -> World:
    served = {one["key"]: Served(**{name: one[name] for name in MEMBERS}) for one in flags}
    return World(served, {one["key"]: one["when"] for one in segments or []})


def direction(before: Json | None, after: Json | None, *others: Json, segments: list[Json] | None = None) -> Direction:
    """Which way the flag `f` went."""
    was, now = ([] if one is None else [one] for one in (before, after))
    found = widened(world(*was, *others, segments=segments), world(*now, *others, segments=segments))
    return found.get("f", "same")


def dark(*shown: Json, **members: Any) -> Json:
    """A flag that is off for whom these rules do not take."""
    return flag(rules=list(shown), fallthrough=OFF, **members)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (flag(enabled=False), flag()),
        (None, flag()),
        (dark(rule(rollout=QUARTER)), dark(rule(rollout=HALF))),
        (dark(rule(rollout=HALF)), dark(rule(rollout={**QUARTER, "group": "others"}))),
        (dark(rule(rollout=HALF)), dark(rule(rollout={**QUARTER, "bucket_by": "account"}))),
        (dark(), dark(rule(when=IN_BERLIN))),
        (dark(rule(when=clause("in", "berlin"))), dark(rule(when=IN_BERLIN))),
        (dark(rule(when={"all": [BETA, IN_BERLIN]})), dark(rule(when=BETA))),
        (dark(rule(when={"not": IN_BERLIN})), dark(rule(when={"not": clause("in", "berlin")}))),
        (dark(rule("a", "off", when=BETA), rule("b")), dark(rule("b"), rule("a", "off", when=BETA))),
        (dark(rule("a", "off", when=BETA), rule("b")), dark(rule("b"))),
        (flag(off_variant="off"), flag(off_variant="on")),
        (flag(enabled=False), flag(enabled=False, off_variant="on")),
        (flag(prerequisites=[{"flag": "g", "variants": ["on"]}]), flag()),
        (
            flag(prerequisites=[{"flag": "g", "variants": ["on"]}]),
            flag(prerequisites=[{"flag": "g", "variants": ["on", "off"]}]),
        ),
        (flag(), {**flag(), "client_visible": True}),
        (dark(rule(when=clause("in", 1))), dark(rule(when=clause("in", True)))),
        (dark(rule(when=clause("gt", 18))), dark(rule(when=clause("gte", 18)))),
    ],
)
def test_what_may_reach_more_is_wider(before: Json | None, after: Json) -> None:
    """Lighting, raising, loosening, reordering, serving by other buckets, and showing to browsers."""
    assert direction(before, after, flag("g"), segments=[segment("beta", clause("in", "x", attribute="y"))]) == "wider"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (flag(), flag(enabled=False)),
        (flag(), None),
        (dark(rule(rollout=HALF)), dark(rule(rollout=QUARTER))),
        (flag(), dark(rule(rollout=HALF))),
        (flag(), dark(rule(when=IN_BERLIN))),
        (dark(rule(when=IN_BERLIN)), dark(rule(when=clause("in", "berlin")))),
        (dark(rule(when=BETA)), dark(rule(when={"all": [BETA, IN_BERLIN]}))),
        (dark(rule(when={"any": [BETA, IN_BERLIN]})), dark(rule(when=IN_BERLIN))),
        (dark(rule(when={"not": clause("in", "berlin")})), dark(rule(when={"not": IN_BERLIN}))),
        (dark(rule(when=clause("gte", 18))), dark(rule(when=clause("gt", 21)))),
        (dark(rule("b")), dark(rule("a", "off", when=BETA), rule("b"))),
        (dark(rule("a", when=BETA), rule("b", rollout=HALF)), dark(rule("b", rollout=QUARTER), rule("a", when=BETA))),
        (flag(), flag(prerequisites=[{"flag": "g", "variants": ["on"]}])),
        (
            flag(prerequisites=[{"flag": "g", "variants": ["on", "off"]}]),
            flag(prerequisites=[{"flag": "g", "variants": ["on"]}]),
        ),
    ],
)
def test_what_can_only_reach_fewer_is_narrower(before: Json, after: Json | None) -> None:
    """Darkening, lowering and tightening, wherever it stands among the rules."""
    assert direction(before, after, flag("g"), segments=[segment("beta", clause("in", "x"))]) == "narrower"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (flag(), flag()),
        (None, flag(enabled=False)),
        (None, dark()),
        (flag(enabled=False), flag(enabled=False, rules=[rule(when=IN_BERLIN)])),
        (flag(enabled=False), dark()),
        (dark(rule("a", when=IN_BERLIN)), dark(rule("b", when=IN_BERLIN, description="Berlin and around"))),
        (dark(rule("a", when=BETA), rule("b", rollout=HALF)), dark(rule("b", rollout=HALF), rule("a", when=BETA))),
    ],
)
def test_what_nobody_notices_is_the_same(before: Json | None, after: Json) -> None:
    """Preparing what is off, renaming rules, and changing places with one that serves the same."""
    assert direction(before, after, segments=[segment("beta", clause("in", "x"))]) == "same"


def test_serving_another_variant_is_wider() -> None:
    """Who has one variant and gets another that is not dark is served something new; also if only its value is."""
    names: dict[str, Any] = {"type": "string", "variants": {"off": "", "a": "A", "b": "B"}}

    assert (
        direction(flag(fallthrough={"variant": "a"}, **names), flag(fallthrough={"variant": "b"}, **names)) == "wider"
    )
    others = {**names, "variants": {"off": "", "a": "Z", "b": "B"}}
    assert (
        direction(flag(fallthrough={"variant": "a"}, **names), flag(fallthrough={"variant": "a"}, **others)) == "wider"
    )
    assert (
        direction(flag(fallthrough={"variant": "b"}, **names), flag(fallthrough={"variant": "b"}, **others)) == "same"
    )


def split(**weights: int) -> Json:
    return {"split": [{"variant": name, "weight": weight} for name, weight in weights.items()]}


def test_a_split_is_compared_bucket_by_bucket() -> None:
    """Less of what is lit in the same buckets is narrower; the same share in other buckets reaches other people."""
    most, few = split(on=80_000, off=20_000), split(on=30_000, off=70_000)

    assert direction(flag(fallthrough=most), flag(fallthrough=few)) == "narrower"
    assert direction(flag(fallthrough=few), flag(fallthrough=most)) == "wider"
    assert direction(flag(fallthrough=most), flag(fallthrough=split(off=70_000, on=30_000))) == "wider"
    assert direction(flag(fallthrough=most), flag(fallthrough={"variant": "on"})) == "wider"
    assert direction(flag(), flag(fallthrough={**few, "bucket_by": "account"})) == "narrower"


def test_segments_are_looked_into() -> None:
    """A segment with more members lights all flags that name it, also through another segment; fewer darken them."""
    few, many = segment("beta", clause("in", "a")), segment("beta", clause("in", "a", "b"))
    outer = segment("outer", {"any": [BETA, clause("in", "z")]})
    flags = [dark(rule(when={"segment": "outer"})), {**flag("g"), "enabled": False}]
    before, after = world(*flags, segments=[few, outer]), world(*flags, segments=[many, outer])

    assert widened(before, after) == {"f": "wider"}
    assert widened(after, before) == {"f": "narrower"}
    assert is_wider_segment(before, after, "outer")
    assert not is_wider_segment(after, before, "outer")


def test_flags_that_stand_on_others_follow() -> None:
    """Lighting a flag lights what waits for it; and darkening one lights what waits for it to be off."""
    waiting = flag("f", prerequisites=[{"flag": "g", "variants": ["on"]}])
    only_without = flag("h", prerequisites=[{"flag": "g", "variants": ["off"]}])
    is_on, is_off = flag("g"), flag("g", enabled=False)

    up = widened(world(waiting, only_without, is_off), world(waiting, only_without, is_on))
    down = widened(world(waiting, only_without, is_on), world(waiting, only_without, is_off))

    assert up == {"f": "wider", "g": "wider", "h": "narrower"}
    assert down == {"f": "narrower", "g": "narrower", "h": "wider"}


def test_the_internal_segment_is_looked_past_as_it_was() -> None:
    """Showing it to those who may see what is dark is no release; making more people internal is one."""
    inside, more = segment(INTERNAL, clause("in", "ada")), segment(INTERNAL, clause("in", "ada", "bo"))
    shown, hidden = dark(rule(when={"all": [{"segment": INTERNAL}, IN_BERLIN]})), dark()

    assert widened(world(hidden, segments=[inside]), world(shown, segments=[inside]), INTERNAL) == {}
    assert widened(world(hidden, segments=[inside]), world(shown, segments=[more]), INTERNAL) == {"f": "wider"}
    assert widened(world(shown, segments=[inside]), world(shown, segments=[more]), INTERNAL) == {"f": "wider"}
    assert widened(world(hidden, segments=[inside]), world(shown, segments=[inside])) == {"f": "wider"}


def test_what_is_too_long_to_prove_is_wider(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proof that takes too many steps is none."""
    parts = [clause("in", str(number)) for number in range(40)]
    before, after = dark(rule(when={"any": parts})), dark(rule(when={"any": parts[:39]}))
    assert direction(before, after) == "narrower"

    monkeypatch.setattr("greenroom_server.flags.conditions.MAX_STEPS", 20)

    assert direction(before, after) == "wider"


@st.composite
def edits(draw: st.DrawFn, one: Json) -> Json:
    """The flag after one change: mostly such that may only take something away, or nothing."""
    made, names = copy.deepcopy(one), list(one["variants"])
    what = draw(st.integers(0, 11))
    place = draw(st.integers(0, len(made["rules"]) - 1)) if made["rules"] else None
    if what == 0:
        made["enabled"] = draw(st.booleans())
    elif what == 1:
        made["fallthrough"] = draw(serves(names))
    elif what == 2:
        made["prerequisites"] = (
            draw(st.lists(st.sampled_from(one["prerequisites"]), max_size=1)) if one["prerequisites"] else []
        )
    elif what == 3:
        made["prerequisites"] = (
            [*one["prerequisites"], {"flag": "h", "variants": ["on"]}][:1] if one["key"] != "h" else []
        )
    elif what == 4:
        made["rules"] = draw(rules(names, ["s", "t", "u"]))
    elif what == 5:
        made["fallthrough"] = {"variant": one["off_variant"]}
    elif place is not None:
        _edit_rule(draw, made["rules"], place, names, one["off_variant"], what)
    return made


def _edit_rule(draw: st.DrawFn, made: list[Json], place: int, names: list[str], off: str, what: int) -> None:
    one = made[place]
    if what == 6:
        one["rollout"] = {**one.get("rollout", {}), "percent": draw(st.sampled_from([0, 25_000, 50_000, 100_000]))}
    elif what == 7:
        more = draw(conditions(["s", "t", "u"]))
        one["when"] = {draw(st.sampled_from(["all", "any"])): [one["when"], more]} if "when" in one else more
    elif what == 8:
        made.insert(draw(st.integers(0, len(made) - 1)), made.pop(place))
    elif what == 9:
        one["serve"] = draw(serves(names) | st.just({"variant": off}))
    elif what == 10:
        made.pop(place)
    else:
        made.insert(place, {"id": "new", "serve": {"variant": off}, "when": draw(conditions(["s", "t", "u"]))})


@st.composite
def changes(draw: st.DrawFn) -> tuple[list[Json], list[Json], list[Json], list[Json]]:
    """A world, and what became of it."""
    flags, segments = draw(worlds())
    now = [draw(edits(one)) if draw(st.booleans()) else one for one in flags]
    if draw(st.booleans()):
        now = [draw(edits(one)) if draw(st.booleans()) else one for one in now]
    segments_now = copy.deepcopy(segments)
    if draw(st.booleans()):
        place = draw(st.integers(0, 2))
        more = draw(conditions(["s", "t", "u"][place + 1 :]))
        segments_now[place]["when"] = {draw(st.sampled_from(["all", "any"])): [segments[place]["when"], more]}
    return flags, segments, now, segments_now


ALWAYS: Final = clause("starts_with", "", attribute="targetingKey")


@given(
    change=changes(),
    internal=st.sampled_from([None, INTERNAL]),
    people=st.lists(contexts, min_size=1, max_size=6),
    now_ms=instants,
)
@example(
    change=([dark(rule(when=ALWAYS))], [segment(INTERNAL, ALWAYS)], [flag()], [segment(INTERNAL, ALWAYS)]),
    internal=INTERNAL,
    people=[{"targetingKey": "a"}],
    now_ms=0,
)
@examples(200)
def test_nobody_is_served_more_by_what_was_judged_narrower(
    change: Any, internal: str | None, people: list[Any], now_ms: int
) -> None:
    """Outside of the internal segment everybody keeps what they had, or gets what was dark: the engine says so."""
    flags, segments, now, segments_now = change
    found = widened(world(*flags, segments=segments), world(*now, segments=segments_now), internal)
    was, becomes = snapshot(*flags, segments=segments), snapshot(*now, segments=segments_now)
    probe = snapshot(flag("inside", rules=[rule(when={"segment": INTERNAL})], fallthrough=OFF), segments=segments)
    for context in [*people, *({**one, "targetingKey": key} for one in people for key in ("a", "b", "se"))]:
        if internal is not None and evaluate(probe, "inside", context, now_ms).value is not False:
            continue
        for one in flags:
            if found.get(one["key"]) != "wider":
                before, after = (evaluate(where, one["key"], context, now_ms) for where in (was, becomes))
                is_dark = after.value is None or after.value is one["variants"][one["off_variant"]]
                assert is_dark or (type(after.value), after.value) == (type(before.value), before.value)


def test_the_law_can_be_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Were rules that come to be asked first not looked at, the law above would find out: this is such a case."""
    before = dark(rule("a", "off", when=IN_BERLIN), rule("b"))
    after = dark(rule("b"), rule("a", "off", when=IN_BERLIN))
    monkeypatch.setattr(widening._Proof, "_is_kept", lambda self, place: True)

    assert direction(before, after) != "wider"
    assert evaluate(snapshot(before), "f", {"x": "berlin"}, 0).value is False
    assert evaluate(snapshot(after), "f", {"x": "berlin"}, 0).value is True
