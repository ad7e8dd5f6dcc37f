"""What is told to whom: the types that a destination asked for, and the body of a message. Pure."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from greenroom_server.audit.wire import AuditEventOut
from greenroom_server.web.codec import write_json

TYPE: Final = r"[a-z][a-z0-9_]*(?:\.[a-z][a-z0-9_]*)*"
PATTERN: Final = rf"^(?:\*|{TYPE}(?:\.\*)?)$"
TEST: Final = "webhook.test"
MAX_BODY_BYTES: Final = 64 * 1024
# Raised by `enqueue` with data of their own; their audit events would say it twice.
OWN_DATA: Final = frozenset({"flag.served_while_dark"})

_ENVIRONMENT: Final = re.compile(r"/api/v1/projects/[^/]+/environments/([^/]+)")


@dataclass(frozen=True, slots=True)
class Happening:
    """Something to tell. `environment` is None for what belongs to no environment, or to all of them."""

    project: str
    type: str
    at: datetime
    data: Mapping[str, Any]
    environment: str | None = None
    sequence: int | None = None

    def body(self) -> bytes:
        """The message as Standard Webhooks has it: `{type, timestamp, data}`."""
        return write_json({"type": self.type, "timestamp": self.at, "data": self.data})

    def without_changes(self) -> "Happening":
        """The same, told shortly: whoever wants to know more reads the audit log."""
        return replace(self, data={**self.data, "changes": [], "changes_omitted": True})


def happening_of(event: AuditEventOut) -> Happening:
    """An event of a project's audit log, as it is told."""
    found = _ENVIRONMENT.match(event.target)
    return Happening(
        project=event.project or "",
        type=event.action,
        at=event.at,
        data=event.model_dump(mode="json"),
        environment=found[1] if found else None,
        sequence=event.sequence,
    )


def is_wanted(happening: Happening, patterns: Collection[str], environments: Sequence[str] | None) -> bool:
    """Whether a destination with these filters wants to hear it."""
    if not any(_matches(pattern, happening.type) for pattern in patterns):
        return False
    return environments is None or happening.environment is None or happening.environment in environments


def _matches(pattern: str, type_: str) -> bool:
    if pattern == "*":
        return True
    return type_.startswith(pattern[:-1]) if pattern.endswith(".*") else type_ == pattern
