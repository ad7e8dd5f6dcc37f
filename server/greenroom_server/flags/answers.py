"""From a request to a unit of work, and from an outcome to an answer."""

from collections.abc import Sequence
from typing import Any, Final

from pydantic import BaseModel

from greenroom_server.flags.work import Outcome, Verdict, Work, plain
from greenroom_server.web.call import Call
from greenroom_server.web.conditional import etag_of
from greenroom_server.web.reply import Reply

RELEASE_DECISIONS: Final = "Release-Decisions"
MOST_TOLD: Final = 20


def work_of(call: Call) -> Work:
    """The unit of work that the kit opened for this request."""
    return Work(call.session, call.principal, call.now, call.if_match)


def answer(call: Call, outcome: Outcome[Any], *, created_at: str | None = None) -> Reply:
    """The answer to a change: the thing as it is now, or on a dry run what would change."""
    result = outcome.result
    body = _body_of(result)
    headers = _verdicts_told(outcome.verdicts)
    if call.dry_run:
        return Reply(body={"dry_run": True, "changes": list(outcome.changes), "result": body, **_shown(outcome)})
    if result is None:
        return Reply(status=204, headers=headers)
    version = getattr(result, "version", None)
    etag = None if version is None else etag_of(version)
    if created_at is not None:
        return Reply(status=201, body=body, etag=etag, location=created_at, headers=headers)
    return Reply(body=body, etag=etag, headers=headers)


def _shown(outcome: Outcome[Any]) -> dict[str, Any]:
    return {"decisions": [dict(one.decision) for one in outcome.verdicts]} if outcome.verdicts else {}


def _verdicts_told(verdicts: Sequence[Verdict]) -> dict[str, str]:
    """The header that names the decisions, a structured field (RFC 8941); `…/decisions` has all of them."""
    told = [
        f'"{one.decision["id"]}";verdict={one.decision["decision"]};mode={one.mode};flag="{one.decision["subject"]["flag"]}"'
        for one in [one for one in verdicts if one.mode != "observe"][:MOST_TOLD]
    ]
    return {RELEASE_DECISIONS: ", ".join(told)} if told else {}


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
