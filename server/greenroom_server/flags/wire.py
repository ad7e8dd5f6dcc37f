"""What goes in and out of the flags routes: projects, environments, flags, configurations and segments.

Shapes and simple limits stand here. What the members of `variants`, `rules` and `when` mean is checked by
`greenroom.evaluation`, the same code that evaluates them.
"""

from datetime import date, datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, AnyUrl, BaseModel, ConfigDict, Field, ValidationError, WithJsonSchema

from greenroom.evaluation import limits
from greenroom_server.web.times import Day, Moment

Key = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,99}$")]
Name = Annotated[str, Field(min_length=1, max_length=200)]
Text = Annotated[str, Field(max_length=4000)]
Tag = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._:/-]{0,63}$")]
Purpose = Literal["release", "experiment", "operational", "permission"]
FlagType = Literal["boolean", "string", "integer", "float", "object"]
Tier = Literal["development", "staging", "production"]
Lifecycle = Literal["dark", "testing", "rolling_out", "released", "stale", "archived"]


def _web_address(text: str) -> str:
    try:
        is_web = AnyUrl(text).scheme in ("http", "https")
    except ValidationError:
        is_web = False
    if not is_web:
        raise ValueError("must be the address of a web page, with `http:` or `https:`")
    return text


def _context(context: dict[str, Any]) -> dict[str, Any]:
    if not isinstance(context.get("targetingKey"), str | None):
        raise ValueError("`targetingKey` must be a string")
    return context


def _component(name: str) -> WithJsonSchema:
    return WithJsonSchema({"$ref": f"#/components/schemas/{name}"})


# Checked by the engine, described by hand in openapi.yaml.
Condition = Annotated[dict[str, Any], _component("Condition")]
Serve = Annotated[dict[str, Any], _component("Serve")]
Rule = Annotated[dict[str, Any], _component("Rule")]
Prerequisite = Annotated[dict[str, Any], _component("Prerequisite")]
Variants = Annotated[dict[str, Any], _component("Variants")]
Context = Annotated[dict[str, Any], AfterValidator(_context), _component("Context")]
Difference = Annotated[dict[str, Any], _component("Difference")]


class Closed(BaseModel):
    """Refuses members it does not know, and values of another type: `"true"` is no boolean."""

    model_config = ConfigDict(extra="forbid", strict=True)


class ProjectIn(Closed):
    """A project."""

    key: Key
    name: Name
    description: Text = ""


class ProjectOut(Closed):
    """A project."""

    key: str
    name: str
    description: str
    version: int
    created_at: datetime
    updated_at: datetime


class EnvironmentIn(Closed):
    """An environment. `position` orders them from the first stage (0) to the last; without it the new one is last."""

    key: Key
    name: Name
    tier: Tier
    production_like: bool = False
    position: int | None = Field(default=None, ge=0, le=99)


class EnvironmentOut(Closed):
    """An environment; `revision` is what its SDKs are brought up to."""

    key: str
    name: str
    tier: Tier
    production_like: bool
    position: int
    revision: int
    published_at: datetime
    version: int
    created_at: datetime
    updated_at: datetime


class Link(Closed):
    """Where people read more."""

    title: Name
    url: Annotated[str, AfterValidator(_web_address), Field(max_length=2000)]


class FlagIn(Closed):
    """What a flag is in all environments alike."""

    key: Key
    name: Annotated[str, Field(max_length=200)] = ""
    description: Text = ""
    owner: Annotated[str, Field(max_length=200)] = ""
    tags: list[Tag] = Field(default=[], max_length=50)
    links: list[Link] = Field(default=[], max_length=20)
    purpose: Purpose
    expires_on: Day | None = None
    type: FlagType
    variants: Variants | None = None
    value_schema: dict[str, Any] | None = None
    stories: list[Annotated[str, Field(min_length=1, max_length=100)]] = Field(default=[], max_length=100)
    client_visible: bool = False
    track_exposures: Literal["none", "counts", "subjects"] = "counts"


class FlagOut(Closed):
    """A flag; `environments` says in short how it stands in each, first stage first."""

    key: str
    name: str
    description: str
    owner: str
    tags: list[str]
    links: list[Link]
    purpose: Purpose
    expires_on: date | None
    type: FlagType
    variants: Variants
    value_schema: dict[str, Any] | None
    stories: list[str]
    client_visible: bool
    track_exposures: Literal["none", "counts", "subjects"]
    lifecycle: Lifecycle
    environments: list["FlagStanding"]
    version: int
    archived_at: datetime | None
    created_at: datetime
    updated_at: datetime


class FlagStanding(Closed):
    """How a flag stands in one environment: `reach` says whether nobody, some or all get more than the dark variant."""

    environment: str
    enabled: bool
    reach: Literal["none", "some", "all"]
    version: int


class ConfigurationIn(Closed):
    """How a flag is served in one environment."""

    enabled: bool
    off_variant: Annotated[str, Field(min_length=1, max_length=100)]
    prerequisites: list[Prerequisite] = Field(default=[], max_length=limits.MAX_PREREQUISITES)
    rules: list[Rule] = Field(default=[], max_length=limits.MAX_RULES)
    fallthrough: Serve


class ConfigurationOut(Closed):
    """How a flag is served in one environment."""

    flag: str
    environment: str
    enabled: bool
    off_variant: str
    prerequisites: list[Prerequisite]
    rules: list[Rule]
    fallthrough: Serve
    reach: Literal["none", "some", "all"]
    version: int
    revision: int
    updated_at: datetime


class RolloutIn(Closed):
    """Serve `variant` to `percent` of the people no rule before has decided on, and the dark variant to the rest.

    `enable` also switches the flag on; otherwise a flag that is off stays off.
    """

    percent: Annotated[float, Field(ge=0, le=100)]
    variant: Annotated[str, Field(min_length=1, max_length=100)] | None = None
    bucket_by: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    enable: bool = False


class CopyIn(Closed):
    """Copy configurations from the environment `from`: of the named flags, or of all.

    Whether a flag is on stays as it is, unless `include_enabled`.
    """

    from_: Annotated[Key, Field(alias="from")]
    flags: list[Key] | None = Field(default=None, min_length=1, max_length=limits.MAX_FLAGS)
    include_enabled: bool = False


class EvaluateIn(Closed):
    """Evaluate for this context, at this time (now, if left out)."""

    context: Context = {}
    at: Moment | None = None


class SegmentIn(Closed):
    """A named condition."""

    key: Key
    name: Annotated[str, Field(max_length=200)] = ""
    description: Text = ""
    when: Condition


class SegmentOut(Closed):
    """A named condition."""

    key: str
    name: str
    description: str
    when: Condition
    version: int
    created_at: datetime
    updated_at: datetime


class Use(Closed):
    """One place that uses a segment or a flag: a flag's configuration in an environment, or another segment."""

    flag: str | None
    environment: str | None
    segment: str | None
    pointer: str


class FlagDifference(Closed):
    """How one flag's configuration differs between two environments."""

    flag: str
    differences: list[Difference]


class ProjectDocument(Closed):
    """A whole project as one document; what `export` gives and `import` takes."""

    format: Literal["greenroom.project/1"]
    project: ProjectIn
    environments: list[EnvironmentIn] = Field(max_length=50)
    segments: list[SegmentIn] = Field(default=[], max_length=limits.MAX_SEGMENTS)
    flags: list["FlagDocument"] = Field(default=[], max_length=limits.MAX_FLAGS)


class FlagDocument(FlagIn):
    """A flag with its configurations by environment key."""

    archived: bool = False
    configurations: dict[Key, ConfigurationIn] = {}
