"""What every verb of the flags area is handed, and what every verb that changes something gives back."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncSession

from greenroom_server.access.principal import Principal
from greenroom_server.audit.service import Event, Inserted, record
from greenroom_server.errors import Forbidden
from greenroom_server.flags.place import Environment
from greenroom_server.web.codec import write_json
from greenroom_server.web.conditional import IfMatch, etag_of, require_if_match
from greenroom_server.web.difference import diff

Out = TypeVar("Out")
Changes = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Work:
    """One unit of work: its transaction, who asked, when, and which version they believe to change."""

    session: AsyncSession
    principal: Principal
    now: datetime
    if_match: IfMatch | None = None

    def check_version(self, version: int) -> None:
        """Raises `PreconditionRequired` or `PreconditionFailed` unless the caller names this version."""
        require_if_match(self, etag_of(version))

    def check_version_if_named(self, version: int) -> None:
        """For verbs that mean the same whatever stood there before: raises only if another version is named."""
        if self.if_match is not None:
            require_if_match(self, etag_of(version))

    async def note(
        self,
        project_key: str,
        action: str,
        target: str,
        changes: Sequence[dict[str, Any]],
        *,
        row: Inserted | None = None,
    ) -> None:
        """Write the audit event of a change, in its transaction; the row that it tells of comes with it, if given."""
        event = Event(project_key, self.principal.actor, action, target, changes)
        await record(self.session, event, self.now, row=row)


@dataclass(frozen=True, slots=True)
class Verdict:
    """A decision of the release policy as it is answered, and what the gate's mode there makes of it."""

    decision: Mapping[str, Any]
    mode: str


@dataclass(frozen=True, slots=True)
class Outcome(Generic[Out]):
    """What a verb did: the thing as it is now, and the differences to how it was (none if nothing changed).

    `verdicts` are what the release policy said of it, if it was asked.
    """

    result: Out
    changes: Sequence[dict[str, Any]]
    verdicts: Sequence[Verdict] = ()


def plain(model: BaseModel) -> dict[str, Any]:
    """The model as JSON-shaped Python, floats and the order of members kept."""
    return model.model_dump(mode="json", by_alias=True)


def differences(before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> Changes:
    """What changed between two documents as their authors write them; None stands for nothing there."""
    if before is None:
        return [{"path": "", "op": "add", "to": after}]
    if after is None:
        return [{"path": "", "op": "remove", "from": before}]
    changes = diff(before, after)
    # The order of the variants is the author's, and `diff` does not look at orders.
    if not changes and write_json(before.get("variants")) != write_json(after.get("variants")):
        changes.append({"path": "/variants", "op": "replace", "from": before["variants"], "to": after["variants"]})
    return changes


def under(path: str, changes: Iterable[dict[str, Any]]) -> Changes:
    """The same changes, seen from further up."""
    return [{**change, "path": path + change["path"]} for change in changes]


def require_environments(work: Work, environments: Iterable[Environment], why: str) -> None:
    """Raises `Forbidden` unless the caller may change what all of these environments serve."""
    for environment in environments:
        if not work.principal.sees_environment(environment.key):
            raise Forbidden(f"{why} an environment that lies outside this token's limits")
        if environment.tier == "production" and not work.principal.allows("production.write"):
            raise Forbidden(f"{why} `{environment.key}`, and that takes the permission `production.write`")
