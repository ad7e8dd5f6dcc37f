"""What goes in and out of the access routes."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from greenroom_server.access.secrets import Kind
from greenroom_server.web.times import Moment

# An e-mail address, or whatever commits and accounts call somebody; small letters, so that it can stand in a path.
Person = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._+@-]{0,199}$")]
Key = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,99}$")]


class _Closed(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class SetupIn(_Closed):
    """The one-time set-up token that the server printed at its first start."""

    setup_token: str = Field(max_length=200)
    name: str = Field(default="first administrator", min_length=1, max_length=200)


class TokenIn(_Closed):
    """A token to be made. `project` and `environment` are for SDK keys, `projects` and `environments` for people.

    `person` says who holds it, and `roles` what they are in release policies. A pipeline has no person, and may have
    roles in which environments may let it approve change requests.
    """

    name: str = Field(min_length=1, max_length=200)
    kind: Kind
    projects: list[Key] | None = Field(default=None, min_length=1, max_length=100)
    environments: list[Key] | None = Field(default=None, min_length=1, max_length=100)
    project: Key | None = None
    environment: Key | None = None
    person: Person | None = None
    roles: list[Key] = Field(default=[], max_length=20)
    expires_at: Moment | None = None


class TokenOut(_Closed):
    """A token as it can be seen again: never its text."""

    id: UUID
    name: str
    kind: Kind
    hint: str
    state: Literal["active", "expired", "revoked"]
    projects: list[str] | None
    environments: list[str] | None
    project: str | None
    environment: str | None
    person: str | None
    roles: list[str]
    created_at: datetime
    created_by: str
    expires_at: datetime | None
    last_used_at: datetime | None
    revoked_at: datetime | None


class TokenCreated(TokenOut):
    """The answer to making a token; the only time that `token`, its text, is shown."""

    token: str


class WhoamiOut(_Closed):
    """What the credential of this request is and may do."""

    token_id: UUID
    name: str
    kind: Kind
    permissions: list[str]
    projects: list[str] | None
    environments: list[str] | None
    project: str | None
    environment: str | None
    person: str | None
    roles: list[str]
    expires_at: datetime | None
