"""What the kit reads from an ASGI scope, and the two marks it leaves there.

Raw ASGI apps beside the route table use the same functions, so that both treat paths and credentials alike.
"""

import re
from typing import Final

from starlette.types import Scope

from greenroom_server.errors import Unauthenticated

KEY_PATTERN: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")
# Path parameters that are no keys of ours, by their names.
OTHER_PATTERNS: Final = {
    "digest": re.compile(r"sha256:[0-9a-f]{64}"),
    "story": re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}"),
    "person": re.compile(r"[a-z0-9][a-z0-9._+@-]{0,199}"),
}

_UNSAFE_IN_PATH: Final = re.compile(
    rb"//|/\.{1,2}(?:/|$)"  # what some proxy would collapse
    rb"|[;\\\x00-\x20\x7f-\xff]"  # parameters, Windows separators, what a request line should not hold
    rb"|%(?:2[eEfF5]|3[bBfF]|5[cC]|[01][0-9a-fA-F]|7[fF])"  # the same, in disguise
    rb"|%(?![0-9a-fA-F]{2})"
)
_REQUEST_ID: Final = "greenroom.request_id"
_OPERATION: Final = "greenroom.operation"


def has_safe_path(scope: Scope) -> bool:
    """Is the path spelled so that every proxy before us reads the same path from it?"""
    raw = scope.get("raw_path") or scope["path"].encode("utf-8", "surrogateescape")
    path: str = scope["path"]
    return _UNSAFE_IN_PATH.search(raw) is None and path.isprintable() and (path == "/" or not path.endswith("/"))


def credential_of(scope: Scope) -> str | None:
    """The token of `Authorization: Bearer` or `X-API-Key`, or None; raises `Unauthenticated` if they disagree."""
    found: set[str] = set()
    for name, value in scope["headers"]:
        if name == b"authorization":
            scheme, _, token = value.decode("latin-1").partition(" ")
            if scheme.lower() != "bearer":
                raise Unauthenticated
            found.add(token.strip())
        elif name == b"x-api-key":
            found.add(value.decode("latin-1").strip())
    if len(found) > 1:
        raise Unauthenticated("the request carries two different credentials")
    return found.pop() if found else None


def mark_request(scope: Scope, request_id: str) -> None:
    """Remembers the request's id for problems and logs."""
    scope[_REQUEST_ID] = request_id


def request_id_of(scope: Scope) -> str | None:
    request_id: str | None = scope.get(_REQUEST_ID)
    return request_id


def mark_operation(scope: Scope, operation_id: str, template: str) -> None:
    """Tells logs, metrics and traces which operation answers; nothing else of the path may become a label."""
    scope[_OPERATION] = (operation_id, template)


def operation_of(scope: Scope) -> tuple[str, str] | None:
    """The operation id and the route template, once a route was found."""
    operation: tuple[str, str] | None = scope.get(_OPERATION)
    return operation
