"""Whom a configuration reaches, how a flag starts, and how long its document is counted."""

from typing import Any

import pytest
from tests.unit.flags.rows import NOW, configuration, environment, flag

from greenroom.evaluation.limits import MAX_INTEGER
from greenroom_server.flags.documents import flag_document
from greenroom_server.flags.standing import dark_configuration, derive, reach_of
from greenroom_server.web.codec import write_json

ON, OFF = {"variant": "on"}, {"variant": "off"}
STAFF = {"attribute": "staff", "op": "in", "values": [True]}


def split(on: int) -> dict[str, Any]:
    return {"split": [{"variant": "on", "weight": on}, {"variant": "off", "weight": 100_000 - on}]}


@pytest.mark.parametrize(
    ("reach", "members"),
    [
        ("none", {"enabled": False, "fallthrough": ON}),
        ("none", {"fallthrough": OFF}),
        ("all", {"fallthrough": ON}),
        ("some", {"fallthrough": ON, "prerequisites": [{"flag": "x", "variants": ["on"]}]}),
        ("some", {"fallthrough": split(50_000)}),
        ("none", {"fallthrough": split(0)}),
        ("all", {"fallthrough": split(100_000)}),
        ("some", {"fallthrough": OFF, "rules": [{"id": "a", "when": STAFF, "serve": ON}]}),
        ("some", {"fallthrough": ON, "rules": [{"id": "a", "when": STAFF, "serve": OFF}]}),
        ("all", {"fallthrough": ON, "rules": [{"id": "a", "when": STAFF, "serve": ON}]}),
        ("all", {"fallthrough": OFF, "rules": [{"id": "a", "serve": ON}]}),
        ("none", {"fallthrough": ON, "rules": [{"id": "a", "serve": OFF}]}),
        ("some", {"fallthrough": OFF, "rules": [{"id": "a", "rollout": {"percent": 1}, "serve": ON}]}),
        ("none", {"fallthrough": OFF, "rules": [{"id": "a", "rollout": {"percent": 0}, "serve": ON}]}),
        ("some", {"fallthrough": OFF, "rules": [{"id": "a", "rollout": {"percent": 100_000}, "serve": ON}]}),
        ("some", {"fallthrough": OFF, "rules": [{"id": "a", "serve": split(100_000)}]}),
    ],
)
def test_reach(reach: str, members: dict[str, Any]) -> None:
    """Nobody, some or all get more than the dark variant."""
    assert reach_of(configuration(**{"enabled": True, **members})) == reach


@pytest.mark.parametrize(
    ("variants", "dark", "live"),
    [
        ({"on": True, "off": False}, "off", "on"),
        ({"a": "x", "b": "y"}, "a", "b"),
        ({"a": "x"}, "a", "a"),
        ({"a": "x", "off": "y"}, "off", "a"),
        ({"on": "x", "b": "y"}, "on", "on"),
    ],
)
def test_dark_start(variants: dict[str, Any], dark: str, live: str) -> None:
    """A new flag is off; its dark variant is `off` or the first, and switched on it serves `on` or the second."""
    row = dark_configuration(flag(type="string", variants=variants), environment(), NOW)

    assert (row.enabled, row.off_variant, row.fallthrough) == (False, dark, {"variant": live})
    assert row.reach == "none"


def test_switching_makes_no_document_longer() -> None:
    """A flag can be switched off in a full environment, though `false` is longer than `true`."""
    of = flag()
    row = configuration(of, enabled=True)
    derive(of, row)
    on = row.document_bytes

    row.enabled = False
    derive(of, row)

    assert row.document_bytes == on


def test_counted_length_is_never_too_short() -> None:
    """What is counted covers the document at any revision, with its key, colon and comma."""
    of = flag()
    row = configuration(of, served_revision=MAX_INTEGER)
    derive(of, row)

    assert row.document_bytes >= len(write_json(flag_document(of, row))) + len(f'"{of.key}":,')
