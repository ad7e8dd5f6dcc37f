"""Evaluations as OFREP bytes: each possible answer of a flag is written once per revision and sent many times.

A client key's answers are allow-listed: key, value, reason, variant and the flag's version, never the name of a rule,
a segment or another flag, and never an error text of the engine's, which may quote one.
"""

from collections.abc import Collection
from typing import Any, Final

import orjson

from greenroom_server import errors
from greenroom_server.errors import GreenroomError, Invalid
from greenroom_server.web.problems import problem_of
from greenroom_server.web.reply import Reply

FLAG_NOT_FOUND: Final = "FLAG_NOT_FOUND"
INVALID_CONTEXT: Final = "INVALID_CONTEXT"
PARSE_ERROR: Final = "PARSE_ERROR"
GENERAL: Final = "GENERAL"

_TEXTS: Final = {
    "TARGETING_KEY_MISSING": "this flag needs a `targetingKey` in the context",
    PARSE_ERROR: "the flag's configuration cannot be read by this server",
    GENERAL: "the flag cannot be evaluated",
}
_LONGEST_ECHO: Final = 200


class ItemBytes(dict[Any, bytes]):
    """Evaluation -> its JSON bytes, filled at first use; evaluations are prebuilt, so it stays small."""

    def __init__(self, *, is_for_clients: bool) -> None:
        super().__init__()
        self._is_for_clients = is_for_clients

    def __missing__(self, evaluation: Any) -> bytes:
        item = orjson.dumps(item_of(evaluation, is_for_clients=self._is_for_clients))
        self[evaluation] = item
        return item


def item_of(evaluation: Any, *, is_for_clients: bool) -> dict[str, Any]:
    """The OFREP form of one evaluation, success or failure; members always come in this order."""
    if evaluation.error_code is None:
        item = {
            "key": evaluation.flag_key,
            "value": evaluation.value,
            "reason": evaluation.reason,
            "variant": evaluation.variant or "default",
        }
    else:
        item = {
            "key": evaluation.flag_key,
            "errorCode": evaluation.error_code,
            "errorDetails": _details(evaluation, is_for_clients=is_for_clients),
        }
    metadata = dict(evaluation.metadata)
    if is_for_clients:
        metadata = {name: metadata[name] for name in ("version",) if name in metadata}
    if metadata:
        item["metadata"] = metadata
    return item


def failed_evaluation(evaluation: Any, *, is_for_clients: bool) -> Reply:
    """The answer to a single evaluation that gave an error: OFREP's members and a problem's, side by side."""
    item = item_of(evaluation, is_for_clients=is_for_clients)
    if evaluation.error_code == FLAG_NOT_FOUND:
        return failure(flag_not_found(), key=evaluation.flag_key)
    problem = Invalid(item["errorDetails"], code=evaluation.error_code.lower())
    reply = problem_of(problem)
    return Reply(reply.status, item | reply.body, headers=reply.headers, media_type=reply.media_type)


def failure(error: BaseException, *, key: str | None, request_id: str | None = None) -> Reply:
    """Any error as OFREP clients understand it, which is a problem document with their members at its top level."""
    reply = problem_of(error, request_id=request_id)
    members = {} if key is None else {"key": key[:_LONGEST_ECHO]}
    members |= {"errorCode": error_code_of(error), "errorDetails": reply.body["detail"]}
    return Reply(reply.status, members | reply.body, headers=reply.headers, media_type=reply.media_type)


def flag_not_found() -> GreenroomError:
    """The same words for a flag that is not there and for one that the credential may not see."""
    return errors.NotFound("there is no such flag", code="flag_not_found")


def error_code_of(error: BaseException) -> str:
    """OFREP's code for an error."""
    if isinstance(error, errors.NotFound) and error.code == "flag_not_found":
        return FLAG_NOT_FOUND
    if isinstance(error, Invalid):
        return PARSE_ERROR if error.code == "parse_error" else INVALID_CONTEXT
    return GENERAL


def flag_set_metadata(project: str, environment: str, version: Collection[Any]) -> bytes:
    """The top-level metadata of a bulk answer, as a JSON member."""
    name, value = version
    return b'"metadata":' + orjson.dumps({"flagSetId": f"{project}/{environment}", name: value})


def _details(evaluation: Any, *, is_for_clients: bool) -> str:
    general = _TEXTS.get(evaluation.error_code, _TEXTS[GENERAL])
    return general if is_for_clients else evaluation.error_message or general
