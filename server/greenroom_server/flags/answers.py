"""From a request to a unit of work, and from an outcome to an answer."""

from typing import Any

from pydantic import BaseModel

from greenroom_server.flags.work import Outcome, Work, plain
from greenroom_server.web.call import Call
from greenroom_server.web.conditional import etag_of
from greenroom_server.web.reply import Reply


def work_of(call: Call) -> Work:
    """The unit of work that the kit opened for this request."""
    return Work(call.session, call.principal, call.now, call.if_match)


def answer(call: Call, outcome: Outcome[Any], *, created_at: str | None = None) -> Reply:
    """The answer to a change: the thing as it is now, or on a dry run what would change."""
    result = outcome.result
    body = _body_of(result)
    if call.dry_run:
        return Reply(body={"dry_run": True, "changes": list(outcome.changes), "result": body})
    if result is None:
        return Reply(status=204)
    version = getattr(result, "version", None)
    etag = None if version is None else etag_of(version)
    if created_at is not None:
        return Reply(status=201, body=body, etag=etag, location=created_at)
    return Reply(body=body, etag=etag)


def answer_if_new(call: Call, outcome: Outcome[Any], path: str) -> Reply:
    """201 for what is new, and 200 for what was there already."""
    return answer(call, outcome, created_at=path if outcome.changes else None)


def shown(result: Any, *, etag_covers_body: bool = True) -> Reply:
    """The answer to a read; `etag_covers_body` as in `Reply`."""
    return Reply(body=plain(result), etag=etag_of(result.version), etag_covers_body=etag_covers_body)


def _body_of(result: Any) -> Any:
    if isinstance(result, BaseModel):
        return plain(result)
    if isinstance(result, list):
        return {"items": [plain(one) for one in result]}
    return result
