"""YAML is read as JSON in other clothes."""

from typing import Any

import pytest

from greenroom_server.errors import Invalid, LimitExceeded
from greenroom_server.web.yaml_codec import read_yaml


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("on: yes\noff: no", {"on": "yes", "off": "no"}),
        ("a: true\nb: false\nc: null\nd: ~\ne:", {"a": True, "b": False, "c": None, "d": None, "e": None}),
        ("a: 1\nb: 1.0\nc: -0.5e3\nd: 1e3", {"a": 1, "b": 1.0, "c": -500.0, "d": 1000.0}),
        (
            "a: 012\nb: 0x1f\nc: 1_000\nd: 1:30\ne: .inf",
            {"a": "012", "b": "0x1f", "c": "1_000", "d": "1:30", "e": ".inf"},
        ),
        ("a: 2026-01-31", {"a": "2026-01-31"}),
        ("1: a\ntrue: b", {"1": "a", "true": "b"}),
        ('{"a": [1, {"b": "c"}]}', {"a": [1, {"b": "c"}]}),
    ],
)
def test_scalars_are_those_of_json(text: str, expected: Any) -> None:
    """Only what JSON would call a number, a truth value or null is one."""
    assert repr(read_yaml(text.encode(), nodes=100)) == repr(expected)


@pytest.mark.parametrize(
    "data",
    [
        b"a: &x [1]\nb: *x",
        b"a: 1\na: 2",
        b"<<: {a: 1}\n<<: {a: 2}",
        b"a: !!python/object/apply:os.system ['true']",
        b"? [a]\n: 1",
        b"a: 1e400",
        b"a: -1e400",
        b'a: "\\0"',
        b'a: "\\uD800"',
        b"a: \xff",
        b"a: [",
        b"a: 1\n---\nb: 2",
        b"[" * 2000,
        b"a: 99999999999999999999",
    ],
)
def test_what_json_could_not_say_is_refused(data: bytes) -> None:
    """Aliases, tags, twins, infinities and nesting are refused, and nothing is changed in silence."""
    with pytest.raises(Invalid):
        read_yaml(data, nodes=100)


def test_limits_are_those_of_json() -> None:
    """The number of values is limited in YAML, too."""
    with pytest.raises(LimitExceeded) as refused:
        read_yaml(b"[" + b"1," * 100 + b"]", nodes=100)

    assert refused.value.limit == "json_nodes"
