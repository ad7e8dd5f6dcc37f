"""Arbitrary and damaged documents: readers answer with findings, SnapshotError or an unusable flag, nothing else."""

import copy
import json
from contextlib import suppress
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from tests.unit.evaluation.documents import NOW, change, configuration, document, flag, snapshot
from tests.unit.evaluation.strategies import anything, conditions, examples, rules, serves, worlds

from greenroom.evaluation import (
    SnapshotError,
    check_condition,
    check_configuration,
    check_references,
    check_variants,
    evaluate_all,
    explain,
    read_snapshot,
)
from greenroom.evaluation.operators import OPERATORS

often = examples(40)
BOOLEAN = {"on": True, "off": False}

near_misses = st.recursive(
    anything
    | st.fixed_dictionaries(
        {"attribute": anything, "op": st.sampled_from([*OPERATORS, "no"]), "values": st.lists(anything, max_size=3)}
    ),
    lambda inner: st.dictionaries(
        st.sampled_from(["all", "any", "not", "segment", "values", "op"]),
        inner | st.lists(inner, max_size=2),
        max_size=2,
    ),
    max_leaves=5,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of every part of a document."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(found for key, part in inner for found in places(part, (*path, key)))]


@st.composite
def damaged(draw: st.DrawFn, whole: Any) -> Any:
    """A document of which one part was removed or replaced."""
    made = copy.deepcopy(draw(whole))
    path = draw(st.sampled_from(places(made)))
    if not path:
        return draw(anything)
    parent = made
    for key in path[:-1]:
        parent = parent[key]
    if draw(st.booleans()):
        parent[path[-1]] = draw(anything)
    else:
        del parent[path[-1]]
    return made


def is_usable(when: Any = None, **members: Any) -> bool:
    """Whether a flag of these parts loads without a warning."""
    segments = [{"key": key, "version": 1, "when": {"attribute": "a", "op": "exists"}} for key in ("s", "t", "u")]
    if when is not None:
        members["rules"] = [{"id": "r", "when": when, "serve": {"variant": "on"}}]
    return snapshot(flag(**members), segments=segments).warnings == ()


@often
@given(made=anything | near_misses | damaged(conditions(["s", "t", "u"])))
def test_a_condition_is_accepted_if_and_only_if_it_loads(made: Any) -> None:
    """Author and loader agree about every condition, bar segments that do not exist."""
    findings = check_condition(made)

    json.dumps([finding.pointer + finding.detail for finding in findings]).encode()
    unknown = '"segment"' in json.dumps(made, default=str)
    if not unknown and made is not None:
        assert (findings == []) == is_usable(when=made)


@often
@given(made=anything | damaged(rules(["on", "off"], ["s", "t", "u"]).map(lambda many: configuration(rules=many))))
def test_a_configuration_is_accepted_if_and_only_if_it_loads(made: Any) -> None:
    """Author and loader agree about every configuration, bar what it names elsewhere."""
    findings = check_configuration(made, type="boolean", variants=BOOLEAN)

    if not isinstance(made, dict) or "segment" in json.dumps(made):
        return
    bare = {name: value for name, value in flag().items() if name not in configuration()}
    known = {name: value for name, value in made.items() if name in configuration()}
    loaded = read_snapshot(document() | {"flags": {"f": bare | known}})
    named_itself = [each for each in findings if each.pointer.startswith("/prerequisites")]
    if known == made and not named_itself:
        assert (findings == []) == (loaded.warnings == ())


@often
@given(kind=st.sampled_from(["boolean", "string", "integer", "float", "object", None, 1]), made=anything)
def test_variants_are_accepted_if_and_only_if_they_load(kind: Any, made: Any) -> None:
    """Author and loader agree about every set of variants."""
    findings = check_variants(kind, made)

    name = next(iter(made), "on") if isinstance(made, dict) else "on"
    loaded = snapshot(flag(type=kind, variants=made, off_variant=name, fallthrough={"variant": name}))
    assert (findings == []) == (loaded.warnings == ())


@often
@given(made=anything | damaged(worlds().map(lambda world: document(*world[0], segments=world[1]))))
def test_reading_a_snapshot_raises_nothing_but_snapshot_error(made: Any) -> None:
    """And whatever could be read can be evaluated and explained."""
    try:
        loaded = read_snapshot(made)
    except SnapshotError:
        return
    assert len(evaluate_all(loaded, {"targetingKey": "a"}, NOW)) == len(loaded.flags)
    for key in loaded.flags:
        explain(loaded, key, {"targetingKey": "a"}, NOW).to_dict()


@often
@given(world=worlds(), made=anything | damaged(worlds().map(lambda world: change(world[0], segments_put=world[1]))))
def test_a_change_raises_nothing_but_snapshot_error(world: Any, made: Any) -> None:
    """And the snapshot before it is as it was."""
    loaded = snapshot(*world[0], segments=world[1])
    before = evaluate_all(loaded, {"targetingKey": "a"}, NOW)
    with suppress(SnapshotError):
        loaded.with_change(made)
    assert (loaded.revision, evaluate_all(loaded, {"targetingKey": "a"}, NOW)) == (17, before)


@often
@given(
    flags=st.dictionaries(st.sampled_from(["f", "g", "h"]), anything | worlds().map(lambda world: world[0][0])),
    segments=st.dictionaries(st.sampled_from(["s", "t"]), anything | near_misses.map(lambda when: {"when": when})),
)
def test_checking_references_raises_nothing(flags: Any, segments: Any) -> None:
    """Whatever stands in the documents."""
    for finding in check_references(flags, segments):
        assert finding.pointer.startswith(("/flags/", "/segments/"))


@often
@given(world=worlds(), serve=serves(["on", "off"]))
def test_documents_are_left_as_they_are(world: Any, serve: Any) -> None:
    """Reading and evaluating change nothing in what was read."""
    made = document(*world[0], flag("z", fallthrough=serve), segments=world[1])
    before = copy.deepcopy(made)
    evaluate_all(read_snapshot(made), {"targetingKey": "a"}, NOW)

    assert made == before
