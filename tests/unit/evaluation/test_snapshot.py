"""Snapshots: the envelope, what one bad flag or segment takes down, and what can change with time alone."""

from typing import Any

import pytest
from tests.unit.evaluation.documents import NOW, clause, document, flag, rule, segment, snapshot, when_flag

from greenroom.evaluation import SnapshotError, evaluate, evaluate_all, evaluate_typed, read_snapshot, reasons

UNKNOWN = {"attribute": "x", "op": "sounds_like", "values": ["a"]}
OFFICE_HOURS = {"op": "within", "values": [{"zone": "UTC", "from": "09:00", "to": "17:00"}]}


def test_the_envelope_is_carried_along() -> None:
    """As the server wrote it."""
    loaded = snapshot(flag())

    assert (loaded.project, loaded.environment, loaded.epoch) == ("shop", "production", "5f0c2a91")
    assert (loaded.revision, loaded.published_at) == (17, "2026-11-23T05:00:00.000Z")


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("schema", 2),
        ("schema", True),
        ("schema", 1.0),
        ("schema", None),
        ("project", ""),
        ("project", None),
        ("environment", 1),
        ("epoch", ""),
        ("revision", -1),
        ("revision", 1.0),
        ("revision", True),
        ("revision", 2**53 + 1),
        ("published_at", None),
        ("flags", None),
        ("flags", []),
        ("flags", {1: {}}),
        ("segments", None),
        ("segments", "x"),
    ],
)
def test_an_unusable_envelope_is_refused(member: str, value: Any) -> None:
    """Whatever member it is, wrong or missing."""
    wrong = document(flag()) | {member: value}
    without = {name: part for name, part in document(flag()).items() if name != member}

    for made in (wrong, without):
        with pytest.raises(SnapshotError):
            read_snapshot(made)


@pytest.mark.parametrize("made", [None, [], "x", 7])
def test_what_is_no_object_is_no_snapshot(made: Any) -> None:
    """And raises nothing but SnapshotError."""
    with pytest.raises(SnapshotError, match="not an object"):
        read_snapshot(made)


def test_unknown_members_of_the_envelope_are_passed_over() -> None:
    """A later server may have more to say."""
    assert read_snapshot(document(flag(), checksum="sha256:0", comment="x")).warnings == ()


def test_flags_stand_in_the_order_of_their_keys() -> None:
    """However they are written down."""
    assert list(snapshot(flag("c"), flag("a"), flag("b")).flags) == ["a", "b", "c"]


def test_one_bad_flag_takes_no_other_down() -> None:
    """It is listed, answers PARSE_ERROR, and the others are served."""
    loaded = snapshot(flag("bad", rules=[rule(when=UNKNOWN)]), flag("good"))

    assert loaded.warnings == ("flag `bad`: /rules/0/when/op: unknown operator `sounds_like`",)
    bad, good = evaluate_all(loaded, {}, NOW)
    assert (bad.reason, bad.error_code) == (reasons.ERROR, reasons.PARSE_ERROR)
    assert bad.error_message == "/rules/0/when/op: unknown operator `sounds_like`"
    assert good.value is True


def test_one_bad_segment_takes_down_only_the_flags_that_name_it() -> None:
    """It is listed, and so are they."""
    loaded = snapshot(
        flag("named", rules=[rule(when={"segment": "bad"})]),
        flag("other"),
        segments=[segment("bad", UNKNOWN), segment("odd", ["x"])],
    )

    assert loaded.warnings == (
        "segment `bad`: /when/op: unknown operator `sounds_like`",
        "segment `odd`: /when: a condition must be an object",
        "flag `named`: names the unusable segment `bad`",
    )
    assert loaded.flags["other"].error is None


@pytest.mark.parametrize("made", [None, [], "x", {"key": "other", "version": 1, "when": clause("in")}])
def test_a_segment_that_is_none_is_listed(made: Any) -> None:
    """No object, or another's key."""
    loaded = read_snapshot(document() | {"segments": {"s": made}})

    assert len(loaded.warnings) == 1
    assert loaded.segments["s"].when is None


@pytest.mark.parametrize("made", [None, [], "x", {}, {"key": "other"}])
def test_a_flag_that_is_none_is_careful_about_everything(made: Any) -> None:
    """Not visible, not tracked, of no type."""
    loaded = read_snapshot(document() | {"flags": {"f": made}})

    unusable = loaded.flags["f"]
    assert unusable.error is not None
    assert (unusable.client_visible, unusable.track_exposures, unusable.type) == (False, "none", None)
    assert evaluate(loaded, "f", {}, NOW).error_code == reasons.PARSE_ERROR


def test_a_flag_that_cannot_be_read_keeps_what_can() -> None:
    """Whether clients may see it, how it is tracked, its type and version."""
    made = flag(rules=[rule(when=UNKNOWN)], version=5) | {"client_visible": True, "track_exposures": "subjects"}

    unusable = snapshot(made).flags["f"]

    assert (unusable.client_visible, unusable.track_exposures) == (True, "subjects")
    assert (unusable.type, unusable.version) == ("boolean", 5)


@pytest.mark.parametrize(
    ("member", "value"),
    [("key", "g"), ("type", "text"), ("version", "1"), ("client_visible", "yes"), ("track_exposures", "all")],
)
def test_a_member_of_a_flag_that_is_wrong_makes_it_unusable(member: str, value: Any) -> None:
    """Each is named in the warning."""
    (warning,) = read_snapshot(document() | {"flags": {"f": flag() | {member: value}}}).warnings

    assert f"/{member}:" in warning


def test_a_key_that_is_none_is_an_unusable_flag() -> None:
    """Keys are small letters, digits, dots, dashes and underscores."""
    assert len(snapshot(flag("Not A Key")).warnings) == 1


def test_members_of_a_flag_that_are_for_people_are_passed_over() -> None:
    """Names, owners, tags."""
    assert snapshot(flag() | {"name": "Checkout", "tags": ["x"], "owner": None}).warnings == ()


def test_members_have_defaults() -> None:
    """A flag that says nothing is not visible to clients, and counted."""
    made = {name: value for name, value in flag().items() if name not in ("client_visible", "track_exposures")}

    loaded = snapshot(made)

    assert (loaded.flags["f"].client_visible, loaded.flags["f"].track_exposures) == (False, "counts")


def test_client_visible_and_track_exposures_are_carried_along() -> None:
    """For those who deliver and report."""
    loaded = snapshot(flag() | {"client_visible": True, "track_exposures": "subjects"})

    assert (loaded.flags["f"].client_visible, loaded.flags["f"].track_exposures) == (True, "subjects")


def test_a_snapshot_cannot_be_changed() -> None:
    """Neither its flags nor what they serve."""
    loaded = snapshot(flag())
    made = evaluate(loaded, "f", {}, NOW)

    with pytest.raises(TypeError):
        loaded.flags["g"] = loaded.flags["f"]  # type: ignore[index]
    with pytest.raises(TypeError):
        made.metadata["version"] = 2  # type: ignore[index]
    with pytest.raises(AttributeError):
        made.value = False  # type: ignore[misc]


@pytest.mark.parametrize(
    ("condition", "is_dependent"),
    [
        (clause("in", "a"), False),
        (clause("after", "2026-01-01T00:00:00Z"), False),
        (clause("after", "now-30d"), True),
        (clause("before", "2026-01-01T00:00:00Z", "now"), True),
        (OFFICE_HOURS, True),
        ({"not": {"any": [clause("in", "a"), {"all": [OFFICE_HOURS]}]}}, True),
        ({"segment": "upper"}, True),
        ({"segment": "timeless"}, False),
    ],
)
def test_what_can_change_with_time_alone_is_known(condition: Any, is_dependent: bool) -> None:
    """Relative dates and times of day, in segments too; a flag that is off never changes."""
    segments = [
        segment("upper", {"segment": "lower"}),
        segment("lower", OFFICE_HOURS),
        segment("timeless", clause("in", "a")),
    ]

    assert snapshot(when_flag(condition), segments=segments).is_clock_dependent is is_dependent
    assert snapshot(flag(enabled=False, rules=[rule(when=condition)]), segments=segments).is_clock_dependent is False
    assert snapshot(flag(), segments=segments).is_clock_dependent is False


def test_a_typed_evaluation_is_the_same_object() -> None:
    """If the type is right."""
    loaded = snapshot(flag())

    for _ in range(2):  # before and after there is a program
        made = evaluate_typed(loaded, "f", "boolean", False, {}, NOW)
        assert made is evaluate(loaded, "f", {}, NOW)


@pytest.mark.parametrize("expected", ["string", "integer", "float", "object", "number", ""])
def test_the_wrong_type_is_answered_with_the_default(expected: str) -> None:
    """TYPE_MISMATCH, and the metadata of the flag."""
    made = evaluate_typed(snapshot(flag(version=3)), "f", expected, "mine", {}, NOW)

    assert (made.value, made.variant, made.reason) == ("mine", None, reasons.ERROR)
    assert (made.error_code, dict(made.metadata)) == (reasons.TYPE_MISMATCH, {"version": 3})


def test_an_integer_is_not_served_as_a_float() -> None:
    """Types are what the flag declares."""
    loaded = snapshot(flag(type="integer", variants={"a": 1}, off_variant="a", fallthrough={"variant": "a"}))

    assert evaluate_typed(loaded, "f", "float", 0.5, {}, NOW).value == 0.5
    assert evaluate_typed(loaded, "f", "integer", 0, {}, NOW).value == 1


@pytest.mark.parametrize(
    ("key", "code"),
    [("none", reasons.FLAG_NOT_FOUND), ("bad", reasons.PARSE_ERROR), ("split", reasons.TARGETING_KEY_MISSING)],
)
def test_every_error_is_answered_with_the_default(key: str, code: str) -> None:
    """The caller's default, the code and a message."""
    loaded = snapshot(
        flag("bad", rules=[rule(when=UNKNOWN)]),
        flag("split", fallthrough={"split": [{"variant": "on", "weight": 100_000}]}),
    )

    made = evaluate_typed(loaded, key, "boolean", True, {}, NOW)

    assert (made.value, made.variant, made.reason, made.error_code) == (True, None, reasons.ERROR, code)
    assert made.error_message


def test_all_flags_or_those_that_are_asked_for() -> None:
    """In the order of their keys; unknown keys are left out and a key that is asked for twice is answered once."""
    loaded = snapshot(flag("b"), flag("a"), flag("c"))

    assert [made.flag_key for made in evaluate_all(loaded, {}, NOW)] == ["a", "b", "c"]
    assert [made.flag_key for made in evaluate_all(loaded, {}, NOW, ["c", "nobody", "a", "c"])] == ["a", "c"]
    assert evaluate_all(loaded, {}, NOW, []) == []
