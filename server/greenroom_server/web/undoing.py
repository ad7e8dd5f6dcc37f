"""Takes differences back, as `difference.diff` gives them: from how something is to how it was before."""

import copy
from collections.abc import Iterable, Mapping
from typing import Any


def undone(document: Any, changes: Iterable[Mapping[str, Any]]) -> Any:
    """The document before the changes, which are one event's. Raises ValueError if they do not fit it."""
    before = copy.deepcopy(document)
    for change in changes:
        parent, name = _place(before, change["path"])
        if change["op"] == "add":
            if name not in parent:
                raise ValueError(f"`{change['path']}` was added, and is not there")
            del parent[name]
        else:
            parent[name] = change["from"]
    return before


def _place(document: Any, pointer: str) -> tuple[dict[str, Any], str]:
    """The object that holds what a JSON Pointer points to, and its name there. Lists are compared as wholes."""
    _, *parts = (part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/"))
    if not parts:
        raise ValueError("the whole of it changed")
    for part in parts[:-1]:
        document = document.get(part) if isinstance(document, dict) else None
    if not isinstance(document, dict):
        raise ValueError(f"there is nothing that holds `{pointer}`")
    return document, parts[-1]
