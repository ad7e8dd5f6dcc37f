"""The templates: commented, refusing nothing, and decided as their own tests say."""

from typing import Any

import pytest

from greenroom_server.policy.compiled import Policy, compile_policy
from greenroom_server.policy.initial import TEMPLATES, render_template
from greenroom_server.web.yaml_codec import read_yaml

CHAINS = [("staging", "production"), ("dev", "test", "uat", "live"), ("1", "on")]


def rendered(template: str, **changes: Any) -> str:
    return render_template(template, **{"name": "shop", "time_zone": "Europe/Berlin", **changes})


def compiled(template: str, **changes: Any) -> Policy:
    return compile_policy(read_yaml(rendered(template, **changes).encode(), nodes=10_000), 1)


@pytest.mark.parametrize("environments", CHAINS)
@pytest.mark.parametrize("template", TEMPLATES)
def test_nothing_to_remark(template: str, environments: tuple[str, ...]) -> None:
    """A new policy has neither errors nor warnings, whatever its environments are called."""
    policy = compiled(template, environments=environments)

    assert policy.warnings == ()
    assert policy.document.environments.keys() == set(environments)
    assert len(policy.document.tests) >= 10


def test_environments_in_order() -> None:
    """Each comes after the one before, the last is production, and the one before it stands in for it."""
    environments = compiled("business-release", environments=CHAINS[1]).document.environments

    assert [environments[key].tier for key in CHAINS[1]] == ["development", "staging", "staging", "production"]
    assert [environments[key].after for key in CHAINS[1]] == [(), ("dev",), ("test",), ("uat",)]
    assert [environments[key].production_like for key in CHAINS[1]] == [False, False, True, False]


def test_name_and_zone_are_filled_in() -> None:
    """The document says what it was made for, and keeps its comments."""
    text = rendered("regulated", name="billing", time_zone="Asia/Kathmandu")

    assert "name: billing\ntime_zone: Asia/Kathmandu\n" in text
    assert text.startswith("# Every change is traceable")
    assert "$" not in text


@pytest.mark.parametrize(
    ("template", "changes", "why"),
    [
        ("lax", {}, "there is no template `lax`; there is: continuous-deployment, business-release, regulated"),
        ("regulated", {"name": "Shop"}, "`Shop` is not allowed"),
        ("regulated", {"environments": ("staging", "prod: x")}, "`prod: x` is not allowed"),
        ("regulated", {"environments": ("production",)}, "at least two different environments"),
        ("regulated", {"environments": ("production", "production")}, "at least two different environments"),
        ("regulated", {"time_zone": "CEST"}, "`CEST` is no time zone"),
    ],
)
def test_what_cannot_be_filled_in(template: str, changes: dict[str, Any], why: str) -> None:
    """A name that would make another document is refused."""
    with pytest.raises(ValueError, match=why):
        rendered(template, **changes)
