"""What goes in and out of the guardrail routes."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from greenroom_server.flags.wire import Closed, Key
from greenroom_server.guardrails.judging import Action, Finding, State
from greenroom_server.guardrails.prometheus import Operator, Series

Keys = Annotated[list[Key], Field(min_length=1, max_length=50)]
Name = Annotated[str, Field(min_length=1, max_length=200)]
Variant = Annotated[str, Field(min_length=1, max_length=100)]
Number = Annotated[float, Field(allow_inf_nan=False)]
Subjects = Annotated[int, Field(ge=10, le=1_000_000)]


class PrometheusSource(Closed):
    """An instant query. Of many series `any` is the one that trips first; `url` is what `/api/v1/query` is added to."""

    kind: Literal["prometheus"]
    url: str = Field(min_length=1, max_length=1900)
    query: str = Field(min_length=1, max_length=4000)
    series: Series = "any"


class AlertSource(Closed):
    """Alerts that are sent to us. One called `heartbeat` only says that its sender is alive; `silence` may be `ok`."""

    kind: Literal["alert"]
    heartbeat: Name = "Watchdog"
    silence: Literal["no_data", "ok"] = "no_data"


class OutcomesSource(Closed):
    """What the subjects who were served `variant` did, beside those who were served `against` if there is such a one.

    `rate` is the share of subjects who did it at all, `mean` the mean of what each subject's values sum up to.
    """

    kind: Literal["outcomes"]
    environment: Key
    flag: Key
    event: Name
    measure: Literal["rate", "mean"] = "rate"
    variant: Variant
    against: Variant | None = None
    min_subjects: Subjects = 100


class ErrorsSource(Closed):
    """The share of a flag's evaluations that ended with the reason ERROR, as SDKs count them by minute."""

    kind: Literal["errors"]
    environment: Key
    flag: Key
    window_s: int = Field(default=300, ge=60, le=3600)
    min_evaluations: int = Field(default=100, ge=1, le=1_000_000)


class DarknessSource(Closed):
    """Whether a dark flag is served as something else than its dark variant."""

    kind: Literal["darkness"]
    environment: Key
    flag: Key


class ThresholdCondition(Closed):
    """Trips while what was read is beyond the value."""

    kind: Literal["threshold"]
    op: Operator
    value: Number


class ComparisonCondition(Closed):
    """Trips when the variant is worse than the other by more than `tolerance`; `alpha` is the share of false alarms."""

    kind: Literal["comparison"]
    worse: Literal["higher", "lower"]
    tolerance: Number = Field(default=0.0, ge=0)
    alpha: float = Field(default=0.01, ge=0.0001, le=0.1)


Source = Annotated[
    PrometheusSource | AlertSource | OutcomesSource | ErrorsSource | DarknessSource, Field(discriminator="kind")
]
Condition = Annotated[ThresholdCondition | ComparisonCondition, Field(discriminator="kind")]


class GuardrailIn(Closed):
    """A guardrail. What names it is watched by it, and so is what its limits let in; without limits that is all.

    `secret` is written and never shown: what Prometheus is asked with, or what alerts are signed with.
    """

    key: Key
    description: str = Field(default="", max_length=4000)
    source: Source
    condition: Condition | None = None
    action: Action
    for_s: int = Field(default=0, ge=0, le=3600)
    interval_s: int = Field(default=10, ge=5, le=3600)
    max_age_s: int = Field(default=60, ge=10, le=86_400)
    always_on: bool = False
    environments: Keys | None = None
    flags: Keys | None = None
    releases: Keys | None = None
    secret: Annotated[str, Field(min_length=16, max_length=500, pattern=r"^[\x21-\x7e]+$")] | None = None


class ReadingOut(Closed):
    """What a source said; of an infinite value only `why` tells."""

    at: datetime
    state: State
    value: float | None
    why: str
    data_at: datetime | None


class GuardrailOut(Closed):
    """A guardrail as it can be seen again: never its secret. `is_sampled` says whether its source is asked now."""

    key: str
    description: str
    source: Source
    condition: Condition | None
    action: Action
    for_s: int
    interval_s: int
    max_age_s: int
    always_on: bool
    environments: list[str] | None
    flags: list[str] | None
    releases: list[str] | None
    has_secret: bool
    is_sampled: bool
    is_tripped: bool
    tripped_at: datetime | None
    last_reading: ReadingOut | None
    version: int
    created_at: datetime
    updated_at: datetime


class GuardrailCreated(GuardrailOut):
    """The answer to making a guardrail; the only time that a secret that the server made is shown."""

    secret: str | None


class WatchedStepOut(Closed):
    """A step of a release that asks for it, and what it is told at this moment."""

    release: str
    environment: str
    step: int
    since: datetime
    asked_at: datetime
    outcome: Finding
    reason: str


class GuardrailDetailOut(GuardrailOut):
    """A guardrail with the steps that it watches and its newest readings."""

    steps: list[WatchedStepOut]
    readings: list[ReadingOut]


class GuardrailTestOut(Closed):
    """What the source says just now, and what a step would be told if it had been saying so for long enough."""

    reading: ReadingOut
    outcome: Finding


class AlertReceiptOut(Closed):
    """How many alerts of a message changed something, how many did not, and how many are firing now."""

    accepted: int
    ignored: int
    firing: int
