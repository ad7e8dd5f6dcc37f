"""Plans as authors write them, and all that can be wrong with them."""

from typing import Any

import pytest

from greenroom_server.errors import GreenroomError, Invalid
from greenroom_server.rollouts.plan import Reach
from greenroom_server.rollouts.reading import digest_of, plan_of, taken_steps_changed
from greenroom_server.rollouts.wire import ReleaseIn
from greenroom_server.web.validation import parse


def authored(*steps: Any, **members: Any) -> ReleaseIn:
    """A plan with these steps, or audiences of steps."""
    return parse(
        ReleaseIn,
        {
            "key": "autumn",
            "environment": "production",
            "flags": [{"flag": "one"}, {"flag": "two"}],
            "steps": [one if isinstance(one, dict) and "audience" in one else {"audience": one} for one in steps],
            **members,
        },
    )


def test_audiences_add_up() -> None:
    """Each step reaches all that the ones before did; a flag may have an audience of its own."""
    plan = plan_of(
        authored("internal", {"audience": {"percent": 5}, "flags": {"two": {"segment": "beta"}}}, {"percent": 25.125})
    )

    assert [step.reaches["one"] for step in plan.steps] == [
        Reach(is_internal=True),
        Reach(is_internal=True, percent=5_000),
        Reach(is_internal=True, percent=25_125),
    ]
    assert plan.steps[1].reaches["two"] == Reach(is_internal=True, segments=("beta",))


@pytest.mark.parametrize(
    ("steps", "pointer", "words"),
    [
        ([{"percent": 25}, {"percent": 5}], "/steps/1/audience", "5 % after 25 %"),
        (["everyone", {"percent": 5}], "/steps/1/audience", "serves everyone"),
        (["internal", "nobody"], "/steps/1/audience", "`nobody` comes first"),
        ([{"percent": 0.0001}], "/steps/0/audience", "three decimals"),
        ([{"audience": "internal", "flags": {"three": "everyone"}}], "/steps/0/flags/three", "not a flag of this"),
        (
            ["internal", {"audience": "internal", "flags": {"one": "nobody"}}],
            "/steps/1/flags/one",
            "`nobody` comes first",
        ),
        ([{"audience": "internal", "advance": {"guardrails": ["errors"]}}], "/steps/0/advance", "never goes on"),
    ],
)
def test_a_plan_that_cannot_be_followed_is_refused(steps: list[Any], pointer: str, words: str) -> None:
    """It says where, and why."""
    with pytest.raises(Invalid) as refused:
        plan_of(authored(*steps))

    (error,) = refused.value.errors
    assert error.pointer == pointer
    assert words in error.detail


@pytest.mark.parametrize(
    "members",
    [
        {"flags": []},
        {"steps": []},
        {"steps": [{"audience": "some"}]},
        {"steps": [{"audience": {"percent": 100}}]},
        {"steps": [{"audience": {"percent": 0}}]},
        {"steps": [{"audience": {"percent": "5"}}]},
        {"steps": [{"audience": "internal", "advance": {"after": "soon"}}]},
        {"steps": [{"audience": "internal", "advance": {"after": "9999d"}}]},
        {"steps": [{"audience": "internal", "advance": {"approval": {"role": "product", "count": 0}}}]},
        {"in_freeze": "skip"},
        {"overdue_after": "0s"},
        {"key": "x" * 65},
    ],
)
def test_what_is_no_plan_is_refused(members: dict[str, Any]) -> None:
    """Members are closed, and within their limits."""
    with pytest.raises(GreenroomError):
        authored("internal", **members)


def test_a_flag_is_named_once() -> None:
    """The second time is refused."""
    with pytest.raises(Invalid) as refused:
        plan_of(authored("internal", flags=[{"flag": "one"}, {"flag": "one"}]))

    assert refused.value.errors[0].pointer == "/flags/1/flag"


def test_the_digest_is_of_the_plan_and_not_of_its_name() -> None:
    """Whatever an approval is about moves it."""
    plain = authored("internal", "everyone")

    assert digest_of(plain) == digest_of(authored("internal", "everyone", name="Autumn", description="leaves"))
    others = [
        authored("internal", {"percent": 5}),
        authored("internal", "everyone", in_freeze="hold"),
        authored("internal", "everyone", environment="staging"),
        authored("internal", "everyone", flags=[{"flag": "one"}]),
        authored("internal", "everyone", start_approval={"role": "product"}),
        authored({"audience": "internal", "advance": {"after": "1h"}}, "everyone"),
    ]
    assert len({digest_of(one) for one in (plain, *others)}) == len(others) + 1


def test_what_is_being_served_stays_planned() -> None:
    """Steps that were taken keep their audiences; those to come, and conditions, may change."""
    before = authored("internal", {"percent": 5}, "everyone")

    assert taken_steps_changed(before, authored("internal"), 0) == []
    assert (
        taken_steps_changed(before, authored({"audience": "internal", "advance": {"after": "1h"}}, "everyone"), 1) == []
    )
    changed = taken_steps_changed(before, authored("internal", flags=[{"flag": "one"}]), 2)
    assert [one.pointer for one in changed] == ["/flags", "/steps/1"]
