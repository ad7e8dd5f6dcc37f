"""Rules in words."""

from typing import Any

import pytest

from greenroom.cli import sentences


@pytest.mark.parametrize(
    ("when", "text"),
    [
        ({"segment": "staff"}, "in segment staff"),
        ({"not": {"segment": "staff"}}, "not (in segment staff)"),
        ({"attribute": "plan", "op": "in", "values": ["plus", 2]}, 'plan is "plus" or 2'),
        (
            {"attribute": "mail", "op": "ends_with", "values": ["@x"], "ignore_case": True},
            'mail ends with "@x" (in any case)',
        ),
        ({"attribute": "age", "op": "exists"}, "age is there"),
        ({"all": []}, "everybody"),
        (
            {"any": [{"segment": "a"}, {"all": [{"segment": "b"}, {"segment": "c"}]}]},
            "in segment a or (in segment b and in segment c)",
        ),
        (
            {
                "op": "within",
                "values": [{"days": ["mon", "fri"], "from": "09:00", "to": "17:00", "zone": "Europe/Paris"}],
            },
            "the time is within mon,fri 09:00-17:00 Europe/Paris",
        ),
        (
            {"op": "within", "values": [{"from": "09:00", "to": "17:00", "zone": "UTC"}]},
            "the time is within 09:00-17:00 UTC",
        ),
        ({"attribute": "x", "op": "novel", "values": [1]}, '{"attribute": "x", "op": "novel", "values": [1]}'),
    ],
)
def test_a_condition_is_a_sentence(when: dict[str, Any], text: str) -> None:
    """Every kind has its words, and what a newer server knows is shown as it is."""
    assert sentences.condition(when) == text


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        ({"when": {"segment": "a"}, "serve": {"variant": "on"}}, "if in segment a: on"),
        ({"rollout": {"percent": 12_500}, "serve": {"variant": "on"}}, "12.5 %: on"),
        (
            {"when": {"segment": "a"}, "rollout": {"percent": 1, "bucket_by": "org"}, "serve": {"variant": "on"}},
            "0.001 % by org of those in segment a: on",
        ),
        (
            {"serve": {"split": [{"variant": "a", "weight": 25_000}, {"variant": "b", "weight": 75_000}]}},
            "everybody: 25 % a, 75 % b",
        ),
    ],
)
def test_a_rule_says_who_gets_what(rule: dict[str, Any], text: str) -> None:
    """Shares are percentages with as many decimals as they need."""
    assert sentences.rule(rule) == text
