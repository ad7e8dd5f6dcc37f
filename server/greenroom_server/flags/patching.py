"""JSON Merge Patch on what authors write, with one addition to RFC 7396.

Some objects are one of several kinds: a serve is `{variant}` or `{split, ...}`, a condition is `{all}`, `{any}`,
`{not}`, `{segment}` or a clause. A patch that names a member of one kind ends the other kinds, whose members the
plain RFC would leave beside it and so make the document invalid. Within one kind the RFC holds: members that the
patch does not name stay.
"""

from collections.abc import Mapping
from typing import Any, Final, TypeVar

from pydantic import BaseModel

from greenroom_server.errors import FieldError, Invalid
from greenroom_server.web.merge_patch import apply_merge_patch
from greenroom_server.web.validation import parse

ModelT = TypeVar("ModelT", bound=BaseModel)
Kinds = tuple[frozenset[str], ...]

_SERVE: Final[Kinds] = (frozenset({"variant"}), frozenset({"split", "bucket_by", "group"}))
_CONDITION: Final[Kinds] = (
    frozenset({"all"}),
    frozenset({"any"}),
    frozenset({"not"}),
    frozenset({"segment"}),
    frozenset({"attribute", "op", "values", "ignore_case"}),
)


def patched(model: type[ModelT], current: Mapping[str, Any], patch: Any) -> ModelT:
    """`current`, as its author wrote it, under a merge patch; raises `Invalid`, also if the patch moves the key."""
    if not isinstance(patch, Mapping):
        raise Invalid(errors=[FieldError("", "a patch is a JSON object")])
    if "key" in current and patch.get("key", current["key"]) != current["key"]:
        raise Invalid(errors=[FieldError("/key", "a key never changes: applications ask for it")])
    merged = apply_merge_patch(current, patch)
    _settle(merged.get("fallthrough"), patch.get("fallthrough"), _SERVE)
    _settle_condition(merged.get("when"), patch.get("when"))
    return parse(model, merged)


def _settle_condition(merged: Any, patch: Any) -> None:
    while isinstance(merged, dict) and isinstance(patch, Mapping):
        _settle(merged, patch, _CONDITION)
        merged, patch = merged.get("not"), patch.get("not")


def _settle(merged: Any, patch: Any, kinds: Kinds) -> None:
    """Take the members of the other kinds out of `merged` (which the merge made anew) if the patch names one kind."""
    if not isinstance(merged, dict) or not isinstance(patch, Mapping):
        return
    named = {name for name, value in patch.items() if value is not None}
    chosen = [kind for kind in kinds if kind & named]
    if len(chosen) == 1:
        for name in frozenset().union(*kinds) - chosen[0]:
            merged.pop(name, None)
