"""What goes out of the audit routes."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict


class AuditEventOut(BaseModel):
    """One event of the log; `hash` covers `previous_hash` and the event (see docs/architecture.md)."""

    model_config = ConfigDict(extra="forbid")

    project: str | None
    sequence: int
    at: datetime
    actor: str
    action: str
    target: str
    changes: list[dict[str, Any]]
    hash: str
    previous_hash: str
