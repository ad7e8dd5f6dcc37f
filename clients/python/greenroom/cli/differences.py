"""Differences, as dry runs and comparisons tell them, for people."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from rich.text import Text

from greenroom.cli import sentences
from greenroom.cli.screen import visible

_LONGEST: Final = 300
_REMOVED: Final = "red"
_ADDED: Final = "green"

Difference = Mapping[str, Any]


def lines(changes: Iterable[Difference], *, indent: str = "  ") -> Iterator[Text]:
    """One line for each value that changes; rules one by one."""
    for change in changes:
        before, after = change.get("from"), change.get("to")
        path = visible(change["path"]).lstrip("/") or "all of it"
        if path.rpartition("/")[2] == "rules" and isinstance(before, list) and isinstance(after, list):
            yield from _rules(path, before, after, indent)
        elif isinstance(before, Mapping | list) or isinstance(after, Mapping | list):
            yield Text(f"{indent}{path}")
            yield from _sides(
                None if before is None else shown(before), None if after is None else shown(after), indent
            )
        else:
            yield Text.assemble(indent, path, ": ", *_scalar_sides(change, before, after))


def shown(value: Any) -> str:
    """A value on one line, cut if it is long."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    text = visible(text).replace("\n", "\\n")
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}… ({len(text)} characters)"


def _scalar_sides(change: Difference, before: Any, after: Any) -> list[tuple[str, str] | str]:
    if change["op"] == "add":
        return [(shown(after), _ADDED)]
    if change["op"] == "remove":
        return [(shown(before), _REMOVED), " is removed"]
    return [(shown(before), _REMOVED), " → ", (shown(after), _ADDED)]


def _rules(path: str, before: Sequence[Any], after: Sequence[Any], indent: str) -> Iterator[Text]:
    old = {one["id"]: sentences.rule(one) for one in before}
    new = {one["id"]: sentences.rule(one) for one in after}
    yield Text(f"{indent}{path}")
    for rule_id in dict.fromkeys((*old, *new)):
        yield from _sides(old.get(rule_id), new.get(rule_id), indent, name=f"[{rule_id}] ")
    kept = [rule_id for rule_id in new if rule_id in old]
    if kept != [rule_id for rule_id in old if rule_id in new]:
        yield Text(f"{indent}  in the order {', '.join(new)}")


def _sides(before: str | None, after: str | None, indent: str, name: str = "") -> Iterator[Text]:
    if before == after:
        return
    if before is not None:
        yield Text(visible(f"{indent}  - {name}{before}"), style=_REMOVED)
    if after is not None:
        yield Text(visible(f"{indent}  + {name}{after}"), style=_ADDED)
