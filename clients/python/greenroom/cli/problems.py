"""What an answer that is no success means: a problem document in words, and which error it is."""

from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any, Final

import httpx

from greenroom.cli.errors import CommandError, NothingThere, ReleaseDenied, ReleaseWaits, Unreachable

NOT_NOW: Final = frozenset({408, 429})
_REFUSED_RELEASES: Final[Mapping[str, type[CommandError]]] = {
    "release_waits": ReleaseWaits,
    "release_denied": ReleaseDenied,
}
_BLOCKING: Final = frozenset({"pending", "fail", "error"})
_HINTS: Final = {
    401: "log in again: `greenroom login`",
    403: "`greenroom whoami` shows what this token may do",
    412: "look at it again, and repeat the command",
}
_HINTS_OF_CODES: Final = {"approval_required": "ask for it: `greenroom changes open --help`"}


def error_of(response: httpx.Response) -> CommandError:
    """The error that the response stands for."""
    status = response.status_code
    problem = _problem_in(response)
    if problem is None:
        return Unreachable(
            f"{response.url.host} answered {_named(status)} with {_content_of(response)} and no problem document",
            hint="is this the address of a Greenroom server, and does a proxy answer in its place?",
        )
    detail = str(problem.get("detail") or problem.get("title") or _named(status))
    kind: type[CommandError] = CommandError
    if status >= 500 or status in NOT_NOW:
        kind = Unreachable
    elif status == 404:
        kind = NothingThere
    kind = _REFUSED_RELEASES.get(str(problem.get("code")), kind)
    hint = _HINTS_OF_CODES.get(str(problem.get("code")), _HINTS.get(status, ""))
    return kind(detail, problem=problem, hint=hint)


def unreadable(response: httpx.Response) -> Unreachable:
    """A success whose body is not what the API promises."""
    return Unreachable(
        f"{response.url.host} answered {_named(response.status_code)} with {_content_of(response)} that cannot be read",
        hint="is this the address of a Greenroom server?",
    )


def media_type_of(response: httpx.Response) -> str:
    """Without parameters, in small letters; empty if none is declared."""
    return str(response.headers.get("content-type", "")).partition(";")[0].strip().lower()


def particulars(problem: Mapping[str, Any]) -> Iterator[str]:
    """What the problem names beside its detail: fields, the limit, and how the server's log calls the request."""
    detail = problem.get("detail")
    errors = problem.get("errors")
    for one in errors if isinstance(errors, list) else []:
        if isinstance(one, dict):
            pointer, text = one.get("pointer", ""), one.get("detail", "")
            yield f"{pointer}: {text}" if text != detail else f"at {pointer}"
    if "limit" in problem:
        yield f"limit: {problem['limit']}, at most {problem.get('maximum')}"
    yield from decided(problem.get("decision"))
    words = [str(problem[name]) for name in ("status", "code") if name in problem]
    instance = str(problem.get("instance", ""))
    if instance:
        words.append(instance.rpartition(":")[2])
    if words:
        yield f"({' '.join(words)})"


def decided(decision: Any) -> Iterator[str]:
    """What stands in the way of a release, what to do next, and where to read on; nothing for what is no decision."""
    if not isinstance(decision, dict):
        return
    for rule in decision.get("rules", []):
        if rule.get("outcome") in _BLOCKING and not rule.get("overridden_by"):
            yield f"{rule.get('id')}: {rule.get('message') or rule.get('code')}"
    for step in decision.get("steps", []):
        yield f"next: {step}"
    if decision.get("retry_at"):
        yield f"with the same facts it may go at {decision['retry_at']}"
    if decision.get("id"):
        yield f"all of it: greenroom gate show {decision['id']}"


def _problem_in(response: httpx.Response) -> Mapping[str, Any] | None:
    if media_type_of(response) != "application/problem+json":
        return None
    try:
        document = response.json()
    except ValueError:
        return None
    return document if isinstance(document, dict) else None


def _content_of(response: httpx.Response) -> str:
    return f"`{media_type_of(response)}`" if media_type_of(response) else "content of no declared type"


def _named(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)
