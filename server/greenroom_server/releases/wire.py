"""What goes in and out about services, stories, and who may say what. Builds, evidence and facts have their own files.

A digest is `sha256:` and 64 hexadecimal digits; a commit is its whole hash: short ones name other things tomorrow.
"""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, StringConstraints
from pydantic_core import PydanticCustomError

from greenroom_server.access.wire import Person
from greenroom_server.flags.wire import Closed, Key, Name, Text

MAX_STORIES = 200

Digest = Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$")]
Commit = Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{40}|[0-9a-f]{64})$")]
StoryKey = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]
EvidenceKind = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+(\.[a-z0-9-]+)*$", max_length=100)]
# As an account or a commit calls somebody.
Author = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Label = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Pem = Annotated[str, StringConstraints(max_length=4000)]
TokenId = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]
FactId = TokenId
Mode = Literal["delivery", "deployment", "hold"]
Action = Literal["deploy", "switch", "release", "darken", "rollback"]


def _web_address(text: str) -> str:
    if not text.startswith(("https://", "http://")):
        raise PydanticCustomError("web_address", "must be the address of a web page, with `http:` or `https:`")
    return text


def _distinct(values: list[Any]) -> list[Any]:
    if len(set(values)) != len(values):
        raise PydanticCustomError("distinct", "must not name the same twice")
    return values


Url = Annotated[str, StringConstraints(max_length=2000), AfterValidator(_web_address)]
Stories = Annotated[list[StoryKey], Field(max_length=MAX_STORIES), AfterValidator(_distinct)]
Flags = Annotated[list[Key], Field(max_length=100), AfterValidator(_distinct)]


class ServiceIn(Closed):
    """Something that is built and deployed as one."""

    key: Key
    name: Name
    description: Text = ""


class ServiceOut(Closed):
    """A service, and how it is run in each environment, first stage first."""

    key: str
    name: str
    description: str
    modes: list["ServiceModeOut"]
    version: int
    created_at: datetime
    updated_at: datetime


class ServiceModeOut(Closed):
    """How builds of a service get into an environment, since when, and who decided so (None: nobody yet)."""

    environment: str
    mode: Mode
    since: datetime | None
    person: str | None


class ModeIn(Closed):
    """How builds get into the environment from now on.

    To `deployment` by the readiness report of this id, or the newest; or by `force`, with a reason.
    """

    mode: Mode
    reason: Text = ""
    report: FactId | None = None
    force: bool = False


class ModeOut(Closed):
    """How builds get into the environment; before anybody decided, it is `delivery` and `seq` is 0."""

    service: str
    environment: str
    mode: Mode
    reason: str
    since: datetime | None
    person: str | None
    seq: int


class StoryIn(Closed):
    """What a customer is to get, and the flags that hide its code. A flag may be named before it is created."""

    title: Annotated[str, StringConstraints(max_length=200)] = ""
    url: Url | None = None
    flags: Flags = Field(default=[])


class ReopenIn(Closed):
    """Why the story is not done after all."""

    reason: Text = ""


class StoryOut(Closed):
    """A story; `flags` are those that it names, `work` the newest commit of each service that works on it."""

    key: str
    title: str
    url: str | None
    flags: list[str]
    reopened_at: datetime | None
    work: list["StoryWorkOut"]
    created_at: datetime
    updated_at: datetime


class StoryWorkOut(Closed):
    """The newest commit of a service that works on a story."""

    service: str
    commit: str


class PersonIn(Closed):
    """Somebody: further names under which commits and accounts know them, and what they are in this project."""

    aliases: list[Author] = Field(default=[], max_length=20)
    roles: list[Key] = Field(default=[], max_length=20)
    is_active: bool = True


class PersonOut(Closed):
    """Somebody, as this project knows them."""

    person: str
    aliases: list[str]
    roles: list[str]
    is_active: bool
    updated_at: datetime


class ProducerIn(Closed):
    """Who supplies evidence. None in `kinds` means every kind, None in `tokens` every token.

    `public_keys` are PEM texts; `must_sign` refuses what none of them signed.
    """

    public_keys: list[Pem] = Field(default=[], max_length=5)
    kinds: list[EvidenceKind] | None = Field(default=None, min_length=1, max_length=50)
    tokens: list[TokenId] | None = Field(default=None, max_length=20)
    must_sign: bool = False
    is_active: bool = True


class ProducerOut(Closed):
    """Who supplies evidence."""

    name: str
    public_keys: list[str]
    kinds: list[str] | None
    tokens: list[str] | None
    must_sign: bool
    is_active: bool
    updated_at: datetime


class ReleaseSettingsIn(Closed):
    """`internal_segment` names the segment whose members may see what counts as dark; None: nobody may."""

    internal_segment: Key | None = None


class ReleaseSettingsOut(Closed):
    """What holds for all releases of a project; `seq` is the number of its newest fact."""

    internal_segment: str | None
    seq: int


PersonKey = Person
