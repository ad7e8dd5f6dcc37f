"""What is said of a policy, for people: remarks of the linter, its tests, and what it would decide otherwise."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from rich.text import Text

from greenroom.cli.screen import Part, table, visible
from greenroom.cli.times import shown

_STYLES: Final = {"error": "bold red", "warning": "yellow"}


def remark(one: Mapping[str, Any]) -> Text:
    """`error at /rules/3/use: …`."""
    return Text.assemble(
        (one["severity"], _STYLES.get(one["severity"], "")), visible(f" at {one['path'] or '/'}: {one['message']}")
    )


def checked(found: Mapping[str, Any]) -> Iterator[Part]:
    """How each test went, and before that what keeps the policy from being stored."""
    yield from (remark(one) for one in found["remarks"] if one["severity"] == "error")
    for one in found["tests"]:
        mark, style = ("✓", "green") if one["passed"] else ("✗", "bold red")
        failure = "" if one["passed"] else f": {one['failure']}"
        yield Text.assemble((mark, style), visible(f" {one['name']}{failure}"))


def difference(found: Mapping[str, Any]) -> Iterator[Part]:
    """How many decisions come out otherwise, which, and because of which rules."""
    number = len(found["changed"])
    yield f"{number} of the last {found['replayed']} decisions would come out otherwise"
    if not number:
        return
    rows = [
        [
            shown(one["decided_at"]),
            f"{one['action']} {one['service']} in {one['environment']}",
            f"{one['was']} → {one['would_be']}",
            ", ".join(one["rules"]),
            one["id"],
        ]
        for one in found["changed"]
    ]
    yield table(["decided", "asked", "verdict", "rules", "id"], rows)
