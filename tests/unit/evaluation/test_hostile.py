"""Contexts that are absurd or hostile: nothing raises, what is unusable does not match, the rest still works."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from types import MappingProxyType
from typing import Any

import pytest
from tests.unit.evaluation.documents import NOW, clause, flag, rule, snapshot, when_flag
from tests.unit.evaluation.strategies import Hostile, HostileText

from greenroom.evaluation import evaluate, evaluate_all, explain, reasons
from greenroom.evaluation.walk import Walk


class Plan(StrEnum):
    """An application's own text."""

    PRO = "pro"


class OldPlan(str, Enum):  # noqa: UP042
    """An application's own text, as it was written before Python 3.11."""

    PRO = "pro"


class Level(IntEnum):
    """An application's own number."""

    HIGH = 7


class Unreadable(Mapping[str, Any]):
    """A mapping whose every look-up raises."""

    def __getitem__(self, key: str) -> Any:
        raise RuntimeError("not to be read")

    def __iter__(self) -> Iterator[str]:
        raise RuntimeError("not to be read")

    def __len__(self) -> int:
        return 1


class HalfReadable(dict[str, Any]):
    """A mapping in which one look-up raises."""

    def get(self, key: str, default: Any = None) -> Any:
        """The value, but for `y`."""
        if key == "y":
            raise RuntimeError("not to be read")
        return super().get(key, default)


class Unshowable:
    """An object that raises when it is shown."""

    def __repr__(self) -> str:
        raise RuntimeError("not to be shown")


def deep(levels: int) -> Any:
    """A context of so many levels."""
    made: dict[str, Any] = {"x": "a"}
    for _ in range(levels):
        made = {"x": made, "a": [made]}
    return made


def served(condition: Any, context: Any, now: int = NOW) -> bool:
    """Whether the condition holds, agreed upon by all ways of asking."""
    loaded = snapshot(when_flag(condition))
    made = evaluate(loaded, "f", context, now)
    assert evaluate_all(loaded, context, now) == [made]
    assert Walk(loaded.flags, loaded.segments, context, now).evaluate(loaded.flags["f"]) is made
    assert explain(loaded, "f", context, now).evaluation is made
    return bool(made.value)


EVERY_OPERATOR = [
    clause("in", "a", 1, True),
    clause("in", 1),
    clause("in", True),
    clause("contains", "a"),
    clause("starts_with", "a"),
    clause("ends_with", "a"),
    clause("matches", "a"),
    clause("in", "a", ignore_case=True),
    clause("eq", 1),
    clause("gt", 1),
    clause("lte", 1),
    clause("before", "2026-01-01T00:00:00Z"),
    clause("after", "now-30d"),
    clause("semver_eq", "1.0.0"),
    clause("semver_gt", "1.0.0"),
    clause("cidr", "10.0.0.0/8"),
]


@pytest.mark.parametrize("condition", EVERY_OPERATOR, ids=lambda made: f"{made['op']} {made['values'][0]}")
@pytest.mark.parametrize(
    "value",
    [
        Hostile(),
        [Hostile()],
        HostileText("q"),
        object(),
        Unshowable(),
        b"a",
        Decimal(1),
        1j,
        float("nan"),
        {b"a"},
        deep(3),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_unusable_value_does_not_match(condition: Any, value: Any) -> None:
    """For every operator and every kind of object that JSON does not have."""
    assert served(condition, {"x": value}) is False


@pytest.mark.parametrize(
    "context", [None, 1, "x", b"x", ["x"], object(), Hostile(), Unreadable()], ids=lambda made: type(made).__name__
)
def test_a_context_that_is_no_mapping_has_no_attributes(context: Any) -> None:
    """Rules do not match, `not` does, and nothing raises."""
    assert served(clause("in", "x"), context) is False
    assert served({"not": clause("in", "x")}, context) is True
    assert served(clause("in", "x", attribute="a.b"), context) is False


def test_one_look_up_that_raises_spoils_only_itself() -> None:
    """The other attributes still decide."""
    context = HalfReadable(x="a", y="b")

    assert served({"any": [clause("in", "b", attribute="y"), clause("in", "a")]}, context) is True
    assert served({"all": [clause("in", "b", attribute="y"), clause("in", "a")]}, context) is False


def test_one_element_that_raises_spoils_only_itself() -> None:
    """The other elements of a list still match."""
    assert served(clause("in", "a"), {"x": [HostileText("q"), "a"]}) is True
    assert served(clause("matches", "a"), {"x": ["\ud800", "a"]}) is True


def test_a_list_that_raises_while_it_is_read_does_not_match() -> None:
    """As an application's own list may."""

    class Broken(list[Any]):
        def __iter__(self) -> Iterator[Any]:
            raise RuntimeError("not to be read")

    assert served(clause("in", "a"), {"x": Broken(["a"])}) is False


@pytest.mark.parametrize("context", [MappingProxyType({"x": "a"}), defaultdict(str, x="a"), {"x": "a", 7: 8}])
def test_any_mapping_is_a_context(context: Any) -> None:
    """And is not changed by being looked at."""
    before = dict(context)

    assert served({"all": [clause("in", "a"), {"not": clause("in", "", attribute="y")}]}, context) is True
    assert dict(context) == before


def test_enumerations_are_the_text_and_the_number_that_they_are() -> None:
    """Applications put their own constants into contexts."""
    assert served(clause("in", "pro"), {"x": Plan.PRO}) is True
    assert served(clause("in", "pro"), {"x": OldPlan.PRO}) is True
    assert served(clause("ends_with", "ro"), {"x": [OldPlan.PRO]}) is True
    assert served(clause("in", 7), {"x": Level.HIGH}) is True
    assert served(clause("gte", 7), {"x": Level.HIGH}) is True


def test_sets_and_tuples_are_lists() -> None:
    """Any of their elements may match."""
    for many in ({"a", "b"}, frozenset({"a", "b"}), ("a", "b")):
        assert served(clause("in", "b"), {"x": many}) is True
        assert served(clause("in", "c"), {"x": many}) is False


def test_an_aware_datetime_is_a_moment_and_a_naive_one_is_none() -> None:
    """Applications have datetimes at hand."""
    moment = datetime(2026, 11, 23, 5, 0, 0, 1000, tzinfo=UTC)

    assert served(clause("after", NOW), {"x": moment}) is True
    assert served(clause("before", NOW), {"x": moment}) is False
    assert served(clause("after", NOW), {"x": moment.astimezone(timezone(timedelta(hours=9)))}) is True
    assert served(clause("after", 0), {"x": moment.replace(tzinfo=None)}) is False


def test_infinity_is_above_everything_and_not_a_number_is_nothing() -> None:
    """No comparison with NaN holds."""
    assert served(clause("gt", 2**53), {"x": float("inf")}) is True
    assert served(clause("lt", -(2**53)), {"x": float("-inf")}) is True
    assert (
        served({"any": [clause(op, 0) for op in ("eq", "gt", "gte", "lt", "lte", "in")]}, {"x": float("nan")}) is False
    )


def test_integers_are_exact_however_large() -> None:
    """2^53 + 1 is not rounded."""
    assert served(clause("eq", 2**53), {"x": 2**53 + 1}) is False
    assert served(clause("gt", 2**53), {"x": 2**53 + 1}) is True
    assert served(clause("in", 2**53), {"x": 10**5000}) is False


@pytest.mark.parametrize(
    "value", ["\ud800", "a\udfff", HostileText("\ud800"), 10**400, float("nan"), float("inf"), [], {}]
)
def test_what_has_no_text_is_in_no_bucket(value: Any) -> None:
    """Neither in a rollout of a hundred percent nor in a split."""
    split = {"split": [{"variant": "on", "weight": 100_000}]}
    loaded = snapshot(
        flag("f", rules=[rule(rollout={"percent": 100_000})], fallthrough={"variant": "off"}),
        flag("g", fallthrough=split),
        flag("h", rules=[rule(serve=split)], fallthrough={"variant": "off"}),
    )

    made = evaluate_all(loaded, {"targetingKey": value}, NOW)

    assert [(one.reason, one.error_code) for one in made] == [
        (reasons.DEFAULT, None),
        (reasons.ERROR, reasons.TARGETING_KEY_MISSING),
        (reasons.DEFAULT, None),
    ]


def test_a_context_of_any_depth_is_looked_at_only_where_it_is_named() -> None:
    """A thousand levels do no harm."""
    assert served(clause("in", "a", attribute=".".join("x" * 1001)), deep(1000)) is True
    assert served(clause("in", "a"), deep(1000)) is False


@pytest.mark.parametrize("now", [10**18, -(10**18), float("nan"), None, "now"])
def test_a_moment_that_no_calendar_has_is_outside_every_window(now: Any) -> None:
    """Neither time of day nor relative dates can be told."""
    window = {"op": "within", "values": [{"zone": "UTC", "from": "00:00", "to": "24:00"}]}

    assert served(window, {}, now) is False


@pytest.mark.parametrize("key", [None, 7, ["f"], {}, b"f", Hostile()], ids=lambda made: type(made).__name__)
def test_a_flag_key_that_is_no_text_is_no_flag(key: Any) -> None:
    """Answered like every flag that does not exist."""
    made = evaluate(snapshot(flag()), key, {}, NOW)

    assert (made.reason, made.error_code) == (reasons.ERROR, reasons.FLAG_NOT_FOUND)


def test_a_failure_that_nobody_foresaw_is_a_general_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """The reference walk itself failing must not reach the application."""

    def fail(*_: Any) -> Any:
        raise RecursionError

    loaded = snapshot(flag(rules=[rule(when=clause("in", "a"))]))
    monkeypatch.setattr(Walk, "evaluate", fail)

    made = evaluate(loaded, "f", None, NOW)

    assert (made.reason, made.error_code, made.value) == (reasons.ERROR, reasons.GENERAL, None)


def test_a_call_from_great_depth_is_answered() -> None:
    """An application that has used up its stack gets an answer or an error, never an exception."""
    loaded = snapshot(when_flag({"all": [{"any": [{"not": {"all": [clause("in", "a")]}}]}]}))
    answers = []

    def descend() -> None:
        answers.append(evaluate(loaded, "f", {"x": "b"}, NOW).reason)
        descend()

    with pytest.raises(RecursionError):
        descend()

    assert set(answers) <= {reasons.TARGETING_MATCH, reasons.ERROR}
