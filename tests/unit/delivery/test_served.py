"""A revision made by changes is the revision loaded whole, and only what a change touches is made anew."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from tests.unit.delivery.rig import flag, rule, segment

from greenroom.evaluation import evaluate_all
from greenroom_server.delivery.live import Served

FLAGS = ("a", "b", "c", "d", "e")
SEGMENTS = ("s", "t")
CONTEXTS: list[dict[str, Any]] = [{}, {"plan": "gold"}, {"plan": "free", "targetingKey": "u1"}]
ENVELOPE = {
    "schema": 1,
    "project": "shop",
    "environment": "production",
    "epoch": "e",
    "published_at": "2026-11-25T10:00:00.000Z",
}


@st.composite
def flags(draw: st.DrawFn) -> dict[str, Any]:
    """A flag that may name segments and others, some of which are not there or close a circle."""
    key = draw(st.sampled_from(FLAGS))
    by_segment = {"id": "r-s", "when": {"segment": draw(st.sampled_from(SEGMENTS))}, "serve": {"variant": "on"}}
    rules = draw(st.sampled_from([[], [by_segment], [rule("off", "plan", "gold")]]))
    others = draw(st.lists(st.sampled_from(FLAGS), max_size=2, unique=True))
    return flag(
        key,
        enabled=draw(st.booleans()),
        client_visible=draw(st.booleans()),
        version=draw(st.integers(1, 5)),
        rules=rules,
        prerequisites=[{"flag": other, "variants": ["on"]} for other in others if other != key],
    )


@st.composite
def edits(draw: st.DrawFn) -> dict[str, Any]:
    """What one change puts and removes."""
    put = {one["key"]: one for one in draw(st.lists(flags(), max_size=2))}
    names = draw(st.lists(st.sampled_from(SEGMENTS), max_size=1))
    put_segments = {name: segment(name, "plan", draw(st.sampled_from(["gold", "free"]))) for name in names}
    removed = draw(st.lists(st.sampled_from(FLAGS), max_size=1))
    removed_segments = draw(st.lists(st.sampled_from(SEGMENTS), max_size=1))
    return {
        "flags": {"put": put, "removed": [key for key in removed if key not in put]},
        "segments": {"put": put_segments, "removed": [key for key in removed_segments if key not in put_segments]},
    }


def after(documents: dict[str, Any], edit: dict[str, Any]) -> dict[str, Any]:
    kept = {key: one for key, one in documents.items() if key not in edit["removed"]}
    return {**kept, **edit["put"]}


@given(st.lists(edits(), min_size=1, max_size=6))
def test_changes_one_by_one_give_what_loading_it_all_gives(steps: list[dict[str, Any]]) -> None:
    """The same bytes, tags, keys and evaluations after each of them."""
    document: dict[str, Any] = {**ENVELOPE, "revision": 1, "flags": {}, "segments": {}}
    served = Served.of(document).warmed_up()
    for revision, edit in enumerate(steps, 2):
        document = {
            **ENVELOPE,
            "revision": revision,
            "flags": after(document["flags"], edit["flags"]),
            "segments": after(document["segments"], edit["segments"]),
        }
        served = served.with_change({**ENVELOPE, "from": revision - 1, "to": revision, **edit}).warmed_up()
        whole = Served.of(document).warmed_up()

        assert served.encodings.identity == whole.encodings.identity
        for mine, theirs in ((served.server, whole.server), (served.client, whole.client)):
            assert (mine.tag, mine.sorted_keys) == (theirs.tag, theirs.sorted_keys)
        for context in CONTEXTS:
            # An evaluation is equal to itself only.
            assert repr(evaluate_all(served.snapshot, context, 0)) == repr(evaluate_all(whole.snapshot, context, 0))


def test_a_change_of_one_flag_compiles_one_flag() -> None:
    """The programs and the bytes of the others are the very objects of the revision before."""
    keys = [f"f{number}" for number in range(50)]
    documents = {key: flag(key, rules=[rule("off", "plan", "gold")]) for key in keys}
    before = Served.of({**ENVELOPE, "revision": 1, "flags": documents, "segments": {}}).warmed_up()
    put = {"f7": flag("f7", enabled=False)}
    change = {"flags": {"put": put, "removed": []}, "segments": {"put": {}, "removed": []}}

    made = before.with_change({**ENVELOPE, "from": 1, "to": 2, **change}).warmed_up()

    for pieces, earlier in (
        (made.snapshot.programs, before.snapshot.programs),
        (made.contents.flags, before.contents.flags),
    ):
        assert [key for key in keys if pieces[key] is not earlier[key]] == ["f7"]
