"""What every verb of the flags area is handed, and what every verb that changes something gives back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Generic, TypeVar
from uuid import UUID

from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncSession

from greenroom_server.access.principal import Principal
from greenroom_server.audit.service import Event, record
from greenroom_server.errors import FieldError, Forbidden, Invalid
from greenroom_server.flags.tables import EnvironmentRow
from greenroom_server.web.conditional import IfMatch, etag_of, require_if_match
from greenroom_server.web.difference import diff
from greenroom_server.web.merge_patch import apply_merge_patch
from greenroom_server.web.validation import parse

Out = TypeVar("Out")
ModelT = TypeVar("ModelT", bound=BaseModel)


@dataclass(slots=True)
class Batch:
    """What many changes touched that are one to the outside: published, checked and noted once, at the end.

    `flags` and `segments` are keys by environment id; `is_to_check` says that references changed.
    """

    flags: dict[UUID, set[str]] = field(default_factory=dict)
    segments: dict[UUID, set[str]] = field(default_factory=dict)
    is_to_check: bool = False


@dataclass(frozen=True, slots=True)
class Work:
    """One unit of work: its transaction, who asked, when, and which version they believe to change."""

    session: AsyncSession
    principal: Principal
    now: datetime
    if_match: IfMatch | None = None
    batch: Batch | None = None

    def batched(self) -> "Work":
        """The same work, holding back what `service_batch.finish` then does once for all."""
        return replace(self, batch=Batch())

    def check_version(self, version: int) -> None:
        """Raises `PreconditionRequired` or `PreconditionFailed` unless the caller names this version."""
        require_if_match(self, etag_of(version))

    def check_version_if_named(self, version: int) -> None:
        """For verbs that mean the same whatever stood there before: raises only if another version is named."""
        if self.if_match is not None:
            require_if_match(self, etag_of(version))

    async def note(self, project_key: str, action: str, target: str, changes: Sequence[dict[str, Any]]) -> None:
        """Write the audit event of a change, in its transaction; a batch is noted as a whole by who began it."""
        if self.batch is None:
            event = Event(project_key, self.principal.actor, action, target, changes)
            await record(self.session, event, self.now)


def unbatched(work: Work) -> Work:
    """The work again as it was before `batched`."""
    return replace(work, batch=None)


@dataclass(frozen=True, slots=True)
class Outcome(Generic[Out]):
    """What a verb did: the thing as it is now, and the differences to how it was (none if nothing changed)."""

    result: Out
    changes: Sequence[dict[str, Any]]


def plain(model: BaseModel) -> dict[str, Any]:
    """The model as JSON-shaped Python, floats and the order of members kept."""
    return model.model_dump(mode="json", by_alias=True)


def patched(model: type[ModelT], current: Mapping[str, Any], patch: Any) -> ModelT:
    """`current`, as its author wrote it, under a merge patch; raises `Invalid`, also if the patch moves the key."""
    if not isinstance(patch, Mapping):
        raise Invalid(errors=[FieldError("", "a patch is a JSON object")])
    if "key" in current and patch.get("key", current["key"]) != current["key"]:
        raise Invalid(errors=[FieldError("/key", "a key never changes: applications ask for it")])
    return parse(model, apply_merge_patch(current, patch))


def differences(before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """`diff` without the members that every change moves."""
    return diff(_authored(before), _authored(after))


def require_environments(work: Work, environments: Sequence[EnvironmentRow], why: str) -> None:
    """Raises `Forbidden` unless the caller may change what all of these environments serve."""
    for environment in environments:
        if not work.principal.sees_environment(environment.key):
            raise Forbidden(f"{why} `{environment.key}`, which lies outside this token's environments")
        if environment.tier == "production" and not work.principal.allows("production.write"):
            raise Forbidden(f"{why} `{environment.key}`, and that takes the permission `production.write`")


_MOVED_BY_EVERY_CHANGE = frozenset({"version", "updated_at", "created_at", "revision", "published_at"})


def _authored(document: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if document is None:
        return None
    return {name: value for name, value in document.items() if name not in _MOVED_BY_EVERY_CHANGE}
