"""What applications report, and what is answered."""

from typing import Annotated, Literal

from pydantic import Field

from greenroom.evaluation import limits
from greenroom_server.flags.wire import Closed
from greenroom_server.web.times import Moment

MAX_ROWS = 10_000

ReportId = Annotated[str, Field(pattern=r"^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$")]
FlagKey = Annotated[str, Field(min_length=1, max_length=200)]
TargetingKey = Annotated[str, Field(min_length=1, max_length=1000)]
Label = Annotated[str, Field(max_length=200)]
Variant = Annotated[str, Field(min_length=1, max_length=100)]
Count = Annotated[int, Field(ge=0, le=limits.MAX_INTEGER)]
Reason = Literal["STATIC", "DEFAULT", "TARGETING_MATCH", "SPLIT", "DISABLED", "CACHED", "STALE", "UNKNOWN", "ERROR"]


class InstanceIn(Closed):
    """The application that reports. `since` is when it began to serve `revision` of `epoch`."""

    id: Annotated[str, Field(min_length=1, max_length=200)]
    sdk: Label
    sdk_version: Label
    application: Label = ""
    version: Label = ""
    build: Label = ""
    epoch: Label = ""
    revision: Count = 0
    since: Moment | None = None


class CountIn(Closed):
    """How often a flag gave a variant for a reason within the minute that begins at `minute`."""

    id: ReportId
    flag: FlagKey
    variant: Variant | None = None
    reason: Reason
    minute: Moment
    count: Annotated[int, Field(ge=1, le=1_000_000_000)]


class ExposureIn(Closed):
    """A subject was served a variant."""

    id: ReportId
    flag: FlagKey
    variant: Variant
    targeting_key: TargetingKey
    at: Moment


class OutcomeIn(Closed):
    """Something that a subject did, with a value if it has one."""

    id: ReportId
    name: Annotated[str, Field(min_length=1, max_length=200)]
    value: float | None = None
    targeting_key: TargetingKey
    at: Moment


class ReportIn(Closed):
    """One batch. `dropped` is what the instance had to forget since it started."""

    instance: InstanceIn
    counts: list[CountIn] = Field(default=[], max_length=MAX_ROWS)
    exposures: list[ExposureIn] = Field(default=[], max_length=MAX_ROWS)
    events: list[OutcomeIn] = Field(default=[], max_length=MAX_ROWS)
    dropped: Count = 0


class ReceiptOut(Closed):
    """How many of a batch's rows are on disk now, and how many were passed over."""

    accepted: int
    ignored: int
