"""A snapshot as pieces: stable bytes, whole changes, and what a client key can come to feel."""

from typing import Any

import orjson
import pytest
from tests.unit.delivery.rig import flag, rule, segment

from greenroom.evaluation import limits, verify_seal
from greenroom_server.delivery.documents import Contents, DocumentRefused


def document(*flags: dict[str, Any], segments: tuple[dict[str, Any], ...] = (), **members: Any) -> dict[str, Any]:
    return {
        "schema": 1,
        "project": "shop",
        "environment": "production",
        "epoch": "e1",
        "revision": 7,
        "published_at": "2026-11-23T05:00:00.000Z",
        "flags": {one["key"]: one for one in flags},
        "segments": {one["key"]: one for one in segments},
    } | members


def change(*flags: dict[str, Any], removed: tuple[str, ...] = (), since: int = 7, **members: Any) -> dict[str, Any]:
    head = {key: value for key, value in document().items() if key not in ("flags", "segments", "revision")}
    return (
        head
        | {"from": since, "to": since + 1}
        | {"flags": {"put": {one["key"]: one for one in flags}, "removed": list(removed)}}
        | {"segments": {"put": {}, "removed": []}}
        | members
    )


def test_the_bytes_are_the_document_sealed() -> None:
    """What is sent is the document, with its checksum as the last member."""
    given = document(flag("b"), flag("a"), segments=(segment("beta", "plan", "pro"),))

    raw = Contents.of(given).raw()

    assert verify_seal(raw)
    read = orjson.loads(raw)
    assert read.pop("checksum").startswith("sha256:")
    assert read == given


def test_bytes_do_not_depend_on_the_way_there() -> None:
    """A server that applied a change and one that loaded everything send the same bytes."""
    changed = Contents.of(document(flag("b"), flag("c"))).with_change(change(flag("a"), removed=("c",)))
    loaded = Contents.of(document(flag("a"), flag("b"), revision=8))

    assert changed.raw() == loaded.raw()


def test_float_keeps_its_point() -> None:
    """10.0 is sent as 10.0."""
    raw = Contents.of(document(flag("a", type="float", variants={"on": 10.0, "off": 0.0}))).raw()

    assert b'"on":10.0' in raw


@pytest.mark.parametrize(
    "bad",
    [
        change(flag("a"), since=6),
        change(flag("a"), since=8),
        change(flag("a"), epoch="e2"),
        change(flags=None),
        change(flags={"put": {}}),
        change(segments={"put": {}, "removed": None}),
        change(to="x"),
    ],
    ids=["older", "gap", "epoch", "no flags", "no removed", "removed is null", "no revision"],
)
def test_change_that_does_not_fit_is_refused(bad: dict[str, Any]) -> None:
    """A gap, another epoch or a malformed change leaves the contents as they are."""
    contents = Contents.of(document(flag("a")))
    before = contents.raw()

    with pytest.raises(DocumentRefused):
        contents.with_change(bad)

    assert contents.raw() == before


def test_most_flags_are_served_and_one_more_is_refused() -> None:
    """The published limit of flags holds here too."""
    most = [flag(f"f{number}") for number in range(limits.MAX_FLAGS)]

    assert Contents.of(document(*most)).raw()
    with pytest.raises(DocumentRefused, match="limit"):
        Contents.of(document(*most, flag("one-more"))).raw()


def test_largest_snapshot_is_served_and_a_larger_one_is_refused() -> None:
    """The published limit of bytes holds to the byte."""
    size = len(Contents.of(document(flag("a", description=""))).raw())
    room = limits.MAX_SNAPSHOT_BYTES - size

    assert len(Contents.of(document(flag("a", description="x" * room))).raw()) == limits.MAX_SNAPSHOT_BYTES
    with pytest.raises(DocumentRefused, match="limit"):
        Contents.of(document(flag("a", description="x" * (room + 1)))).raw()


def test_hidden_change_keeps_the_client_tag() -> None:
    """What no client key can feel does not change what client keys know the environment by."""
    contents = Contents.of(document(flag("seen", client_visible=True), flag("hidden")))

    changed = contents.with_change(change(flag("hidden", enabled=False), flag("new-and-hidden")))

    assert changed.client_tag() == contents.client_tag()


@pytest.mark.parametrize("touched", ["seen", "needed", "needed-by-needed"])
def test_change_behind_a_visible_flag_moves_the_client_tag(touched: str) -> None:
    """A visible flag feels its prerequisites, at any depth."""
    contents = Contents.of(
        document(
            flag("seen", client_visible=True, prerequisites=[{"flag": "needed", "variants": ["on"]}]),
            flag("needed", prerequisites=[{"flag": "needed-by-needed", "variants": ["on"]}]),
            flag("needed-by-needed"),
        )
    )
    before = orjson.loads(contents.raw())["flags"][touched]

    changed = contents.with_change(change(before | {"enabled": False}))

    assert changed.client_tag() != contents.client_tag()


def test_segment_behind_a_segment_moves_the_client_tag() -> None:
    """A visible flag feels the segments of its rules and those inside them."""
    outer = {"key": "outer", "when": {"not": {"any": [{"segment": "inner"}]}}, "version": 1}
    visible = flag("seen", client_visible=True, rules=[rule("on", "x") | {"when": {"all": [{"segment": "outer"}]}}])
    contents = Contents.of(document(visible, segments=(outer, segment("inner", "plan", "pro"), segment("other", "x"))))
    put = {"put": {"inner": segment("inner", "plan", "free")}, "removed": []}

    assert contents.with_change(change(segments=put)).client_tag() != contents.client_tag()
    put = {"put": {"other": segment("other", "y")}, "removed": []}
    assert contents.with_change(change(segments=put)).client_tag() == contents.client_tag()


def test_references_in_a_circle_end() -> None:
    """A cycle that slipped in does not hang the server."""
    one = flag("one", client_visible=True, prerequisites=[{"flag": "two", "variants": ["on"]}])
    two = flag("two", prerequisites=[{"flag": "one", "variants": ["on"]}])

    assert Contents.of(document(one, two)).client_tag()


def test_malformed_flag_has_a_piece_all_the_same() -> None:
    """Nonsense in one flag is the engine's to report and takes no other flag down."""
    nonsense = {"a": 5, "b": {"key": "b", "rules": "x", "prerequisites": [1, {"flag": 2}]}, "c": flag("c")}

    assert Contents.of(document(flags=nonsense)).client_keys() == frozenset()
