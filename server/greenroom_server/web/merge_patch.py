"""JSON Merge Patch (RFC 7396)."""

from typing import Any


def apply_merge_patch(target: Any, patch: Any) -> Any:
    """`target` with `patch` applied, as a new value: null removes a member, objects merge, all else replaces."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = apply_merge_patch(merged.get(name), value)
    return merged
