"""The shortcut that rolls a variant out to a share of the people."""

from typing import Any

import pytest
from tests.unit.flags.rows import configuration, flag

from greenroom_server.errors import Conflict, Invalid
from greenroom_server.flags.rollout import with_rollout
from greenroom_server.flags.wire import ConfigurationIn, RolloutIn

COLOURS = {"red": "r", "green": "g", "blue": "b"}


def rolled_out(row: Any = None, of: Any = None, **wanted: Any) -> ConfigurationIn:
    of = of or flag()
    return with_rollout(of, row or configuration(of), RolloutIn(**wanted))


def test_share_of_the_people() -> None:
    """The live variant goes to the share, the dark one to the rest."""
    made = rolled_out(percent=12.5)

    assert made.rules == [{"id": "rollout", "rollout": {"percent": 12_500}, "serve": {"variant": "on"}}]
    assert made.fallthrough == {"variant": "off"}
    assert made.enabled is False


def test_everybody() -> None:
    """At 100 the rule goes and everybody gets it, also who has no targeting key."""
    row = configuration(rules=rolled_out(percent=50).rules, fallthrough={"variant": "off"})

    made = rolled_out(row, percent=100)

    assert (made.rules, made.fallthrough) == ([], {"variant": "on"})


def test_nobody() -> None:
    """At 0 the rule stays, so that its attribute is kept, and nobody is inside."""
    made = rolled_out(percent=0, bucket_by="company")

    assert made.rules[0]["rollout"] == {"percent": 0, "bucket_by": "company"}


def test_rule_keeps_its_place_and_its_people() -> None:
    """Raising the share changes the number and nothing else about the rule."""
    rule = {
        "id": "rollout",
        "description": "slowly",
        "rollout": {"percent": 1, "bucket_by": "company", "group": "g"},
        "serve": {"variant": "on"},
    }
    others = [{"id": name, "when": {"segment": name}, "serve": {"variant": "on"}} for name in ("a", "z")]
    row = configuration(rules=[others[0], rule, others[1]])

    made = rolled_out(row, percent=2)

    assert [one["id"] for one in made.rules] == ["a", "rollout", "z"]
    assert made.rules[1] == {**rule, "rollout": {"percent": 2_000, "bucket_by": "company", "group": "g"}}


def test_enabling_at_once() -> None:
    """`enable` switches on; without it, an enabled flag stays on."""
    assert rolled_out(percent=1, enable=True).enabled is True
    assert rolled_out(configuration(enabled=True), percent=1).enabled is True


def test_variant_that_is_being_rolled_out_goes_on() -> None:
    """Without a name the variant of the rollout goes on, then that of the fallthrough, then the first not dark."""
    of = flag(type="string", variants=COLOURS)
    assert rolled_out(of=of, percent=1).rules[0]["serve"] == {"variant": "green"}

    row = configuration(of, fallthrough={"variant": "blue"})
    assert rolled_out(row, of, percent=1).rules[0]["serve"] == {"variant": "blue"}

    row = configuration(of, rules=rolled_out(row, of, percent=1).rules, fallthrough={"variant": "red"})
    assert rolled_out(row, of, percent=2).rules[0]["serve"] == {"variant": "blue"}


@pytest.mark.parametrize(
    ("wanted", "pointer"),
    [
        ({"percent": 33.3333}, "/percent"),
        ({"percent": 0.0001}, "/percent"),
        ({"percent": 1, "variant": "maybe"}, "/variant"),
        ({"percent": 1, "variant": "off"}, "/variant"),
    ],
)
def test_refused(wanted: dict[str, Any], pointer: str) -> None:
    """More than three decimals, no such variant, or the dark one."""
    with pytest.raises(Invalid) as refused:
        rolled_out(**wanted)

    assert refused.value.errors[0].pointer == pointer


@pytest.mark.parametrize("percent", [0.001, 33.333, 66.667, 99.999, 0.1 + 0.2, 29.3])
def test_three_decimals_are_exact(percent: float) -> None:
    """Binary fractions do not disturb."""
    assert rolled_out(percent=percent).rules[0]["rollout"]["percent"] == round(percent * 1000)


def test_flag_with_one_variant() -> None:
    """There is nothing to roll out."""
    of = flag(type="string", variants={"only": "x"})

    with pytest.raises(Invalid, match="dark variant"):
        rolled_out(of=of, percent=1)


@pytest.mark.parametrize(
    "rule",
    [
        {"id": "rollout", "when": {"segment": "a"}, "rollout": {"percent": 1}, "serve": {"variant": "on"}},
        {"id": "rollout", "serve": {"variant": "on"}},
        {"id": "rollout", "rollout": {"percent": 1}, "serve": {"split": [{"variant": "on", "weight": 100_000}]}},
    ],
    ids=["condition", "no rollout", "split"],
)
def test_rule_written_by_hand(rule: dict[str, Any]) -> None:
    """A rule of this name that does more is not spoilt."""
    with pytest.raises(Conflict, match="by hand") as refused:
        rolled_out(configuration(rules=[rule]), percent=1)

    assert refused.value.code == "rule_in_the_way"
