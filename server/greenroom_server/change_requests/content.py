"""What a change request is about, as values: the checked changes, their hash, and what they were written for. Pure."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import rfc8785
from pydantic import Field

from greenroom_server.change_requests.wire import ChangeIn
from greenroom_server.errors import FieldError, Invalid
from greenroom_server.flags.wire import Closed, Name, Text
from greenroom_server.web.codec import write_json

Base = dict[str, Any]
"""`{target, version, digest}`: a flag, configuration or segment as it was; the digest is of what it serves."""

_NEEDS: Final[Mapping[str, tuple[str, ...]]] = {
    "configure": ("flag", "patch"),
    "enable": ("flag",),
    "disable": ("flag",),
    "rollout": ("flag", "rollout"),
    "flag": ("flag", "patch"),
    "archive": ("flag",),
    "restore": ("flag",),
    "segment": ("segment", "patch"),
}
_MEMBERS: Final = ("flag", "segment", "patch", "rollout")
WHOLE_FLAG: Final = ("flag", "archive", "restore")
"""Operations on what a flag is in all environments alike."""


class Written(Closed):
    """What authors write of a change request, and what a patch of it may change."""

    title: Name
    reason: Text = ""
    changes: list[ChangeIn] = Field(min_length=1, max_length=50)


def check_members(changes: Sequence[ChangeIn]) -> None:
    """Raises `Invalid` for a change that lacks a member of its operation, or has one of another."""
    errors = []
    for index, change in enumerate(changes):
        needs = _NEEDS[change.op]
        for name in _MEMBERS:
            is_there = getattr(change, name) is not None
            if name in needs and not is_there:
                errors.append(FieldError(f"/changes/{index}/{name}", f"`{change.op}` needs a `{name}`"))
            elif is_there and name not in needs:
                errors.append(FieldError(f"/changes/{index}/{name}", f"`{change.op}` takes no `{name}`"))
    if errors:
        raise Invalid(errors=errors[:20])


def authored(change: ChangeIn) -> dict[str, Any]:
    """A change as its author wrote it: the members that its operation has."""
    return change.model_dump(mode="json", exclude_unset=True, exclude_none=False, include={"op", *_NEEDS[change.op]})


def base_of(target: str, version: int, served: Any) -> Base:
    """What was there: `served` is all of it that matters to the changes; every difference in it counts."""
    return {"target": target, "version": version, "digest": hashlib.sha256(write_json(served)).hexdigest()}


def hash_of(environment: str, changes: Sequence[Mapping[str, Any]], bases: Iterable[Base]) -> str:
    """SHA-256 over the canonical JSON (RFC 8785) of the changes and what they were written for."""
    content: Any = {"environment": environment, "changes": list(changes), "bases": list(bases)}
    return "sha256:" + hashlib.sha256(rfc8785.dumps(content)).hexdigest()


def moved(then: Sequence[Base], now: Sequence[Base]) -> list[str]:
    """The targets that are not what they were, in order; a new version that serves the same is no move."""
    before = {one["target"]: one["digest"] for one in then}
    after = {one["target"]: one["digest"] for one in now}
    return sorted(target for target in before.keys() | after.keys() if before.get(target) != after.get(target))
