"""What goes out of the audit routes."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, WithJsonSchema

# What `web.difference.diff` gives; described by hand in openapi.yaml.
Difference = Annotated[dict[str, Any], WithJsonSchema({"$ref": "#/components/schemas/Difference"})]


class AuditEventOut(BaseModel):
    """One event of the log; `hash` covers `previous_hash` and the event (see docs/architecture.md)."""

    model_config = ConfigDict(extra="forbid")

    project: str | None
    sequence: int
    at: datetime
    actor: str
    action: str
    target: str
    changes: list[Difference]
    hash: str
    previous_hash: str
