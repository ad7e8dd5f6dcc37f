"""What can go wrong, as codes; only `web/problems.py` knows HTTP numbers.

GreenroomError
├── Invalid               the input is wrong; names the fields
│   └── LimitExceeded     ... because it is past a published limit
├── Unauthenticated       no usable credential
├── Forbidden             the credential does not allow this
├── NotFound              no such thing, or none that this credential may see
├── Gone                  it was there and never will be again
├── Conflict              the thing exists already, or its state forbids the change
│   ├── ReleaseRefused    ... or a release policy does; carries its decision
│   └── ApprovalRequired  ... or others must agree first; says where to ask for it
├── PreconditionFailed    `If-Match` names another version
├── PreconditionRequired  `If-Match` is missing
├── IdempotencyMismatch   the key was used before with another request
├── TooManyRequests       a quota is used up
├── Unsupported           the media type cannot be read here
└── Unavailable           the store cannot be reached; nothing was changed or the outcome is unknown
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class FieldError:
    """One thing that is wrong with the input.

    `pointer` is a JSON Pointer into the request body, or the bare name of a header or query parameter.
    """

    pointer: str
    detail: str


class GreenroomError(Exception):
    """something went wrong"""

    code = "internal"

    def __init__(self, detail: str | None = None, *, code: str | None = None) -> None:
        self.detail = detail or type(self).__doc__ or ""
        if code is not None:
            self.code = code
        super().__init__(self.detail)


class Invalid(GreenroomError):
    """the request is not valid"""

    code = "invalid"

    def __init__(
        self, detail: str | None = None, *, errors: Sequence[FieldError] = (), code: str | None = None
    ) -> None:
        self.errors = tuple(errors)
        super().__init__(detail or (self.errors[0].detail if self.errors else None), code=code)


class LimitExceeded(Invalid):
    """the request is past a published limit

    `limit` is the limit's name and `maximum` its value, as published in the documentation; `field` says where.
    """

    code = "limit_exceeded"

    def __init__(self, limit: str, maximum: int, *, field: str = "", detail: str | None = None) -> None:
        self.limit = limit
        self.maximum = maximum
        text = detail or f"`{limit}` is limited to {maximum}"
        super().__init__(text, errors=(FieldError(field, text),) if field else ())


class PayloadTooLarge(LimitExceeded):
    """the body is larger than this route reads"""

    code = "payload_too_large"


class Unauthenticated(GreenroomError):
    """a valid credential is needed: send `Authorization: Bearer <token>` or `X-API-Key: <token>`"""

    code = "unauthenticated"


class Forbidden(GreenroomError):
    """the credential does not allow this"""

    code = "forbidden"


class NotFound(GreenroomError):
    """there is no such thing"""

    code = "not_found"


class Gone(GreenroomError):
    """it is gone for good"""

    code = "gone"


class Conflict(GreenroomError):
    """it conflicts with what is there"""

    code = "conflict"


class ReleaseRefused(Conflict):
    """the release policy does not let this flag be released

    `decision` is the whole decision as `GET …/decisions/{decision}` answers it. The code is `release_waits` where time
    or an expected act can still allow it as it is.
    """

    code = "release_denied"

    def __init__(self, decision: Mapping[str, Any], detail: str | None = None) -> None:
        self.decision = decision
        if decision["decision"] == "wait":
            super().__init__(detail or "the release policy wants something first", code="release_waits")
        else:
            super().__init__(detail or "the release policy forbids it")


class ApprovalRequired(Conflict):
    """others must agree to it first

    `environments` are those that would serve something else, and `change_requests` the path to ask at for the first.
    """

    code = "approval_required"

    def __init__(self, environments: Sequence[str], change_requests: str) -> None:
        self.environments = tuple(environments)
        self.change_requests = change_requests
        where = ", ".join(f"`{one}`" for one in self.environments)
        super().__init__(
            f"this changes what is served in {where}, and there others must agree first: open a change request"
            f" (`POST {change_requests}`)"
        )


class PreconditionFailed(GreenroomError):
    """it was changed by somebody else: read it again and send its current `ETag` as `If-Match`"""

    code = "precondition_failed"


class PreconditionRequired(GreenroomError):
    """send the `ETag` that you read as `If-Match`"""

    code = "precondition_required"


class IdempotencyMismatch(GreenroomError):
    """this `Idempotency-Key` was used before with another request"""

    code = "idempotency_mismatch"


class TooManyRequests(GreenroomError):
    """too many requests"""

    code = "too_many_requests"

    def __init__(self, detail: str | None = None, *, retry_after_s: int = 1) -> None:
        self.retry_after_s = retry_after_s
        super().__init__(detail)


class Unsupported(GreenroomError):
    """this media type cannot be read here"""

    code = "unsupported_media_type"


class Unavailable(GreenroomError):
    """the store cannot be reached right now; try again"""

    code = "unavailable"

    def __init__(self, detail: str | None = None, *, retry_after_s: int = 2) -> None:
        self.retry_after_s = retry_after_s
        super().__init__(detail)
