"""What changed between two JSON values, for people, audit rows and dry runs."""

from typing import Any

from greenroom_server.web.codec import pointer_to


def diff(before: Any, after: Any) -> list[dict[str, Any]]:
    """The changes as `{path, op, from?, to?}`, `path` being a JSON Pointer and `op` add, remove or replace.

    Objects are compared member by member, in the order of `before` and then of what `after` adds. Lists are compared
    as wholes, because an index says little about which element it is. 1 and 1.0 and true are three different values.
    """
    changes: list[dict[str, Any]] = []
    _compare(before, after, "", changes)
    return changes


def _compare(before: Any, after: Any, path: str, changes: list[dict[str, Any]]) -> None:
    if not (isinstance(before, dict) and isinstance(after, dict)):
        if not _is_same(before, after):
            changes.append({"path": path, "op": "replace", "from": before, "to": after})
        return
    for name, old in before.items():
        here = pointer_to(path, name)
        if name in after:
            _compare(old, after[name], here, changes)
        else:
            changes.append({"path": here, "op": "remove", "from": old})
    for name, new in after.items():
        if name not in before:
            changes.append({"path": pointer_to(path, name), "op": "add", "to": new})


def _is_same(before: Any, after: Any) -> bool:
    if type(before) is not type(after):
        return False
    if isinstance(before, dict):
        return before.keys() == after.keys() and all(_is_same(before[name], after[name]) for name in before)
    if isinstance(before, list):
        return len(before) == len(after) and all(map(_is_same, before, after))
    return bool(before == after)
