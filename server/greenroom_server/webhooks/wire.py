"""What goes in and out of the webhook routes."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from greenroom_server.webhooks.address import MAX_URL_LENGTH
from greenroom_server.webhooks.events import PATTERN

Key = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,99}$")]
EventPattern = Annotated[str, Field(pattern=PATTERN, max_length=100)]
Format = Literal["standard", "cdevents"]
DeliveryState = Literal["waiting", "delivered", "dead"]


class Closed(BaseModel):
    """Refuses members it does not know, and values of another type."""

    model_config = ConfigDict(extra="forbid", strict=True)


class WebhookIn(Closed):
    """A destination. Without `environments` it hears of all of them; `format` is that of its messages."""

    key: Key
    url: str = Field(min_length=1, max_length=MAX_URL_LENGTH)
    description: str = Field(default="", max_length=4000)
    format: Format = "standard"
    events: list[EventPattern] = Field(min_length=1, max_length=50)
    environments: list[Key] | None = Field(default=None, min_length=1, max_length=50)
    enabled: bool = True


class WebhookOut(Closed):
    """A destination as it can be seen again: never its secrets."""

    key: str
    url: str
    description: str
    format: Format
    events: list[str]
    environments: list[str] | None
    enabled: bool
    disabled_because: Literal["gone", "failing"] | None
    failing_since: datetime | None
    paused_until: datetime | None
    previous_secret_until: datetime | None
    version: int
    created_at: datetime
    updated_at: datetime


class WebhookCreated(WebhookOut):
    """The answer to making a destination or a new secret; the only time that `secret` is shown."""

    secret: str


class SecretRotationIn(Closed):
    """For how long the secret before goes on signing too."""

    overlap_hours: int = Field(default=24, ge=0, le=168)


class DeliveryOut(Closed):
    """How a message fares; of the receiver's answer only its status is kept. `id` is the `webhook-id`."""

    id: UUID
    type: str
    state: DeliveryState
    attempts: int
    last_status: int | None
    last_error: str | None
    last_attempt_at: datetime | None
    next_attempt_at: datetime | None
    created_at: datetime
    finished_at: datetime | None
