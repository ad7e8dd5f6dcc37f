"""Errors as RFC 9457 problem documents: the only place that knows which HTTP number an error has."""

from collections.abc import Iterable
from http import HTTPStatus
from typing import Any, Final

from greenroom_server import errors
from greenroom_server.errors import GreenroomError
from greenroom_server.web.reply import Reply

PROBLEM_JSON: Final = "application/problem+json"
MAX_ERRORS: Final = 20

STATUS_OF: Final[dict[type[GreenroomError], int]] = {
    errors.Invalid: 400,
    errors.PayloadTooLarge: 413,
    errors.Unauthenticated: 401,
    errors.Forbidden: 403,
    errors.NotFound: 404,
    errors.Gone: 410,
    errors.Conflict: 409,
    errors.PreconditionFailed: 412,
    errors.PreconditionRequired: 428,
    errors.IdempotencyMismatch: 422,
    errors.TooManyRequests: 429,
    errors.Unsupported: 415,
    errors.Unavailable: 503,
}


class MethodNotAllowed(GreenroomError):
    """this path does not know the method"""

    code = "method_not_allowed"

    def __init__(self, allowed: Iterable[str]) -> None:
        self.allowed = tuple(sorted(allowed))
        super().__init__()


class RequestTimeout(GreenroomError):
    """the body did not arrive in time"""

    code = "request_timeout"


_STATUS_OF_OUR_OWN: Final[dict[type[GreenroomError], int]] = {MethodNotAllowed: 405, RequestTimeout: 408}


def status_of(error: BaseException) -> int:
    """The HTTP number of an error: that of the nearest class that has one, else 500."""
    for kind in type(error).__mro__:
        status = STATUS_OF.get(kind) or _STATUS_OF_OUR_OWN.get(kind)
        if status is not None:
            return status
    return 500


def problem_of(error: BaseException, *, request_id: str | None = None) -> Reply:
    """The problem document of an error; anything that is not ours says nothing about the inside."""
    status = status_of(error)
    known = error if isinstance(error, GreenroomError) and status != 500 else GreenroomError()
    document: dict[str, Any] = {
        "type": f"/problems/{known.code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": known.detail,
        "code": known.code,
    }
    if request_id is not None:
        document["instance"] = f"urn:greenroom:request:{request_id}"
    document.update(_particulars(known))
    return Reply(status, document, headers=_headers_of(known), media_type=PROBLEM_JSON)


def _particulars(error: GreenroomError) -> dict[str, Any]:
    members: dict[str, Any] = {}
    if isinstance(error, errors.Invalid) and error.errors:
        members["errors"] = [{"detail": one.detail, "pointer": one.pointer} for one in error.errors[:MAX_ERRORS]]
    if isinstance(error, errors.LimitExceeded):
        members["limit"] = error.limit
        members["maximum"] = error.maximum
    if isinstance(error, errors.ReleaseRefused):
        members["decision"] = error.decision
    if isinstance(error, errors.ApprovalRequired):
        members["environments"] = list(error.environments)
        members["change_requests"] = error.change_requests
    return members


def _headers_of(error: GreenroomError) -> dict[str, str]:
    if isinstance(error, errors.Unauthenticated):
        return {"www-authenticate": 'Bearer realm="greenroom"'}
    if isinstance(error, errors.TooManyRequests | errors.Unavailable):
        return {"retry-after": str(max(1, round(error.retry_after_s)))}
    if isinstance(error, MethodNotAllowed):
        return {"allow": ", ".join(error.allowed)}
    return {}
