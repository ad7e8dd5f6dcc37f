"""What a CDEvent's sender says to us where the standard has no words: the member `greenroom` of its custom data."""

import base64
from collections.abc import Mapping
from typing import Annotated, Any, Final, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from greenroom_server.errors import Invalid
from greenroom_server.releases.formats.bounded_json import Id, parsed, strict_json
from greenroom_server.releases.formats.drafts import FIRST_ATTEMPT, Counts
from greenroom_server.releases.formats.limits import DEFAULT
from greenroom_server.releases.formats.values import commit_in, digest_in

PLACE: Final = "/customData/greenroom"


def _digest(text: str) -> str:
    found = digest_in(text)
    if found is None:
        raise ValueError("`digest` must be as `sha256:` and 64 hexadecimal digits")
    return found


def _commit(text: str) -> str:
    found = commit_in(text)
    if found is None:
        raise ValueError("`commit` must be a full hash of 40 or 64 hexadecimal digits")
    return found


Digest = Annotated[str, AfterValidator(_digest)]
Commit = Annotated[str, AfterValidator(_commit)]
Number = Annotated[int, Field(ge=0, le=10_000_000)]


class CountsTold(BaseModel):
    """The numbers of a test suite run."""

    model_config = ConfigDict(extra="forbid", strict=True)

    total: Number
    passed: Number
    failed: Number = 0
    errors: Number = 0
    skipped: Number = 0
    flaky: Number = 0

    @model_validator(mode="after")
    def _check_sum(self) -> Self:
        if self.total != self.passed + self.failed + self.errors + self.skipped:
            raise ValueError("`total` must be the sum of `passed`, `failed`, `errors` and `skipped`")
        return self

    def as_counts(self) -> Counts:
        return Counts(self.total, self.passed, self.failed, self.errors, self.skipped, self.flaky)


class Told(BaseModel):
    """`customData.greenroom`. It is ours, so a member that is not known is a mistake."""

    model_config = ConfigDict(extra="forbid", strict=True)

    kind: Annotated[str, Field(pattern=r"^[a-z0-9]+(\.[a-z0-9-]+)*$", max_length=100)] | None = None
    suite: Id | None = None
    digest: Digest | None = None
    commit: Commit | None = None
    service: Id | None = None
    slot: Id | None = None
    run: Id | None = None
    attempt: Annotated[int, Field(ge=1, le=1_000)] = FIRST_ATTEMPT
    counts: CountsTold | None = None


def told_in(custom: Mapping[str, Any] | str | None, at: str) -> Told:
    """What is told in `customData`, which is the sender's own: only its member `greenroom` is ours to judge."""
    if isinstance(custom, str):
        try:
            custom = strict_json(base64.b64decode(custom, validate=True), DEFAULT)
        except (Invalid, ValueError):
            return Told()
    if not isinstance(custom, Mapping) or "greenroom" not in custom:
        return Told()
    return parsed(Told, custom["greenroom"], at=f"{at}{PLACE}")
