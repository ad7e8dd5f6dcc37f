"""What is shown of differences and of texts that users wrote."""

from typing import Any

import pytest

from greenroom.cli.differences import lines
from greenroom.cli.screen import Screen, table, visible


def rule(rule_id: str, variant: str = "on") -> dict[str, Any]:
    return {"id": rule_id, "serve": {"variant": variant}}


def test_rules_are_compared_by_their_ids() -> None:
    """A rule that stays is not shown, and a new order is."""
    before, after = [rule("a"), rule("b"), rule("c")], [rule("b"), rule("a", "off"), rule("d")]
    shown = [
        line.plain for line in lines([{"op": "replace", "path": "/rules", "from": before, "to": after}], indent="")
    ]

    assert shown == [
        "rules",
        "  - [a] everybody: on",
        "  + [a] everybody: off",
        "  - [c] everybody: on",
        "  + [d] everybody: on",
        "  in the order b, a, d",
    ]


def test_what_comes_and_goes_is_told_apart() -> None:
    """Additions, removals and replacements read differently."""
    changes: list[dict[str, Any]] = [
        {"op": "add", "path": "/owner", "to": "ada"},
        {"op": "remove", "path": "/tags", "from": ["a"]},
        {"op": "replace", "path": "/enabled", "from": False, "to": True},
    ]
    assert [line.plain for line in lines(changes, indent="")] == [
        "owner: ada",
        "tags",
        '  - ["a"]',
        "enabled: false → true",
    ]


def test_no_text_moves_the_cursor(capsys: pytest.CaptureFixture[str]) -> None:
    """Escape sequences and markup in users' texts are shown as the characters they are."""
    evil = "[red]x[/red]\x1b[2J\x07\x9b1m"
    Screen().show(table(["name"], [[evil]]))
    Screen().show(evil)

    assert capsys.readouterr().out.splitlines() == ["name", *[r"[red]x[/red]\x1b[2J\x07\x9b1m"] * 2]
    assert visible("a\tb\nc") == "a\tb\nc"
