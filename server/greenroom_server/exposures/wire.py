"""What applications report, and what is answered."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field, WithJsonSchema

from greenroom.evaluation import limits
from greenroom_server.flags.wire import Closed
from greenroom_server.web.times import Moment

MAX_ROWS = 10_000

ID_PATTERN = r"^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$"
ReportId = Annotated[str, Field(pattern=ID_PATTERN)]
FlagKey = Annotated[str, Field(min_length=1, max_length=200)]
TargetingKey = Annotated[str, Field(min_length=1, max_length=1000)]
Label = Annotated[str, Field(max_length=200)]
Variant = Annotated[str, Field(min_length=1, max_length=100)]
Count = Annotated[int, Field(ge=0, le=limits.MAX_INTEGER)]
# Rows come by the thousand, and the pattern is matched without a call into Python for each. Whether the day is in the
# calendar is found out when the row is made.
At = Annotated[
    str,
    Field(
        pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?([Zz]|[+-][0-9]{2}:[0-9]{2})$"
    ),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
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
    minute: At
    count: Annotated[int, Field(ge=1, le=1_000_000_000)]


class ExposureIn(Closed):
    """A subject was served a variant."""

    id: ReportId
    flag: FlagKey
    variant: Variant
    targeting_key: TargetingKey
    at: At


class OutcomeIn(Closed):
    """Something that a subject did, with a value if it has one."""

    id: ReportId
    name: Annotated[str, Field(min_length=1, max_length=200)]
    value: float | None = None
    targeting_key: TargetingKey
    at: At


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


class ExposureOut(Closed):
    """A subject was served a variant."""

    id: str
    flag: str
    variant: str
    targeting_key: str
    at: datetime


class ServedOut(Closed):
    """How often a variant was served; `subjects` are the distinct ones, of flags that report them."""

    variant: str | None
    evaluations: int
    subjects: int


class ServedPointOut(Closed):
    """How often a variant was served in the stretch of time that begins at `at`."""

    at: datetime
    variant: str | None
    evaluations: int
    subjects: int


class FlagExposuresOut(Closed):
    """What a flag served in an environment, in all and over time."""

    flag: str
    environment: str
    since: datetime
    until: datetime
    step: Literal["minute", "hour", "day"]
    totals: list[ServedOut]
    items: list[ServedPointOut]


class LaggardOut(Closed):
    """An instance that serves another revision than the newest."""

    instance: str
    application: str
    version: str
    build: str
    revision: int
    reached_at: datetime
    last_seen: datetime


class PropagationOut(Closed):
    """How far the newest revision has come. `slowest_s` is of the instances that were there when it was published."""

    environment: str
    revision: int
    published_at: datetime
    instances: int
    current: int
    slowest_s: float | None
    laggards: list[LaggardOut]


class BuildOut(Closed):
    """A build that was seen at work; `instances` are those seen in the last minutes."""

    application: str
    version: str
    build: str
    instances: int
    first_seen: datetime
    last_seen: datetime


class UnusedFlagOut(Closed):
    """A flag that nobody asked for; `last_evaluated_at` as far back as counts are kept."""

    flag: str
    last_evaluated_at: datetime | None


class UnknownFlagOut(Closed):
    """A key that applications ask for and that is no flag, or an archived one."""

    flag: str
    evaluations: int
    last_evaluated_at: datetime


class CoverageOut(Closed):
    """Which flags nobody asks for, and what is asked for that is no flag."""

    environment: str
    since: datetime
    unused: list[UnusedFlagOut]
    unknown: list[UnknownFlagOut]


class OutcomeSumOut(Closed):
    """What applications tracked under one name."""

    name: str
    count: int
    subjects: int
    total: float | None


class DarknessAlertOut(Closed):
    """A variant that was served though the flag was dark, `first_at` to `last_at`; times are minutes."""

    environment: str
    flag: str
    variant: str
    dark_since: datetime
    first_at: datetime
    last_at: datetime
    evaluations: int
    raised_at: datetime


class SubjectIn(Closed):
    """Whose rows to erase."""

    targeting_key: TargetingKey


class ErasedOut(Closed):
    """How many rows were erased."""

    exposures: int
    outcomes: int
