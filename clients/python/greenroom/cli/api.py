"""The HTTP API as commands use it: bodies in, bodies out, and one of `errors.py` for everything else.

What can be repeated without harm is repeated when no answer comes or the answer is "not now": reads, dry runs, and
creations, which carry an `Idempotency-Key`. Any other change is only repeated if it cannot have been sent.
"""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType, TracebackType
from typing import Any, Final, Self
from urllib.parse import quote
from uuid import uuid4

import httpx

from greenroom.cli.errors import CommandError, Unreachable, UsageError
from greenroom.cli.problems import error_of, media_type_of, unreadable
from greenroom.version import VERSION

PAUSES_S: Final = (0.3, 0.9)
CONNECT_TIMEOUT_S: Final = 5.0
TIMEOUT_S: Final = 30.0
MAX_PAUSE_S: Final = 5.0
PAGE: Final = 200
_AGAIN: Final = frozenset({429, 502, 503, 504})
_STILL_SERVED: Final = "key_in_use"  # an earlier try of the same creation
_JSON: Final = "application/json"
_NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})


class Members(dict[str, Any]):
    """An object of an answer; a member that is not there is no KeyError but an answer of no use."""

    def __missing__(self, name: str) -> Any:
        raise Unreachable(
            f"the answer has no member `{name}`", hint="is this a Greenroom server, and as new as this command?"
        )


@dataclass(frozen=True, slots=True)
class Answer:
    """A success. `etag` is the version that a change of the thing names as `If-Match`."""

    body: Any
    etag: str | None


@dataclass(frozen=True, slots=True)
class _Request:
    method: str
    path: str
    query: Mapping[str, Any]
    headers: Mapping[str, str]
    content: bytes | None
    is_repeatable: bool


class Api:
    """One server, one token. `timeout_s` is how long to wait for each part of an answer, `pauses_s` before each
    repetition.
    """

    def __init__(
        self, url: str, token: str, *, timeout_s: float = TIMEOUT_S, pauses_s: Sequence[float] = PAUSES_S
    ) -> None:
        self._pauses_s = (*pauses_s, None)
        try:
            self._http = httpx.Client(
                base_url=url,
                headers={"Authorization": f"Bearer {token}", "User-Agent": f"greenroom-cli/{VERSION}"},
                timeout=httpx.Timeout(timeout_s, connect=min(timeout_s, CONNECT_TIMEOUT_S)),
            )
        except (ValueError, OSError, ImportError) as error:
            raise UsageError(
                f"connections cannot be made as the environment says: {error}",
                hint="look at HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, SSL_CERT_FILE and SSL_CERT_DIR",
            ) from None

    def get(self, path: str, **query: Any) -> Answer:
        """Read one thing."""
        return self._answer(self._request("GET", path, query))

    def text(self, path: str, media_type: str, **query: Any) -> str:
        """Read a document as the server wrote it."""
        response = self._send(self._request("GET", path, query))
        if media_type_of(response) != media_type:
            raise unreadable(response)
        return response.text

    def pages(self, path: str, *, limit: int | None = None, **query: Any) -> dict[str, Any]:
        """A list's items, page after page, up to the limit, in the shape of one page."""
        items: list[Any] = []
        cursor: str | None = None
        while True:
            room = PAGE if limit is None else min(PAGE, limit - len(items))
            page = self.get(path, **query, limit=room, cursor=cursor).body
            items += page["items"]
            cursor = page["next_cursor"]
            if cursor is None or (limit is not None and len(items) >= limit):
                return {"items": items, "next_cursor": cursor}

    def create(
        self,
        path: str,
        body: Any,
        *,
        dry_run: bool = False,
        media_type: str = _JSON,
        query: Mapping[str, Any] = _NOTHING,
    ) -> Answer:
        """Make something; safe to repeat, because the server does it once for one key. Bytes are sent as they are."""
        headers = {"Content-Type": media_type, "Idempotency-Key": f'"{uuid4()}"'}
        wanted = _given(query) | ({"dry_run": "true"} if dry_run else {})
        return self._answer(_Request("POST", path, wanted, headers, _encoded(body), is_repeatable=True))

    def ask(self, path: str, body: Any, *, media_type: str = _JSON, **query: Any) -> Answer:
        """A POST that changes nothing. Bytes are sent as they are."""
        headers = {"Content-Type": media_type}
        return self._answer(_Request("POST", path, _given(query), headers, _encoded(body), is_repeatable=True))

    def tell(self, path: str, content: bytes, headers: Mapping[str, str]) -> Answer:
        """A POST that is kept once however often it comes; `headers` say what the content is."""
        return self._answer(_Request("POST", path, {}, headers, content, is_repeatable=True))

    def change(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        if_match: str | None = None,
        dry_run: bool = False,
        is_repeatable: bool = False,
        media_type: str = _JSON,
    ) -> Answer:
        """Change a thing that is still as `if_match` says (`*`: whatever it is).

        `is_repeatable` says that doing it twice is doing it once.
        """
        headers = {} if body is None else {"Content-Type": media_type}
        if if_match is not None:
            headers["If-Match"] = if_match
        query = {"dry_run": "true"} if dry_run else {}
        content = None if body is None else _encoded(body)
        return self._answer(_Request(method, path, query, headers, content, is_repeatable or dry_run))

    def close(self) -> None:
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _request(self, method: str, path: str, query: Mapping[str, Any]) -> _Request:
        return _Request(method, path, _given(query), {}, None, is_repeatable=True)

    def _answer(self, request: _Request) -> Answer:
        response = self._send(request)
        if response.status_code == httpx.codes.NO_CONTENT:
            return Answer(None, None)
        try:
            body = response.json(object_hook=Members)
        except ValueError:
            raise unreadable(response) from None
        if not isinstance(body, Members):
            raise unreadable(response)
        return Answer(body, response.headers.get("etag"))

    def _send(self, request: _Request) -> httpx.Response:
        for pause_s in self._pauses_s:
            try:
                response = self._http.request(
                    request.method, request.path, params=request.query, headers=request.headers, content=request.content
                )
            except httpx.HTTPError as error:
                may_repeat = request.is_repeatable or isinstance(error, httpx.ConnectError | httpx.ConnectTimeout)
                if pause_s is None or not may_repeat:
                    raise self._unanswered(request, error) from None
                time.sleep(pause_s)
                continue
            if response.is_success:
                return response
            refusal = error_of(response)
            is_passing = response.status_code in _AGAIN or (refusal.problem or {}).get("code") == _STILL_SERVED
            if pause_s is None or not request.is_repeatable or not is_passing:
                raise refusal
            time.sleep(max(pause_s, _retry_after_s(response)))
        raise AssertionError("the last try has no pause after it")

    def _unanswered(self, request: _Request, error: httpx.HTTPError) -> CommandError:
        where = self._http.base_url
        shown = f"{where.scheme}://{where.host}" + (f":{where.port}" if where.port else "")
        text = f"no answer from {shown}: {str(error) or type(error).__name__}"
        never_sent = isinstance(error, httpx.ConnectError | httpx.ConnectTimeout)
        if never_sent or request.is_repeatable:
            return Unreachable(
                text, hint="is the address right (GREENROOM_URL, `greenroom profiles`), is the server up?"
            )
        return Unreachable(text, hint="the change may have been made all the same: look before you repeat it")


def path_of(*parts: str) -> str:
    """A path of the API, its parts quoted."""
    return "/api/v1/" + "/".join(quote(part, safe="") for part in parts)


def _given(query: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in query.items() if value is not None}


def _encoded(body: Any) -> bytes:
    return body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False, allow_nan=False).encode()


def _retry_after_s(response: httpx.Response) -> float:
    text = str(response.headers.get("retry-after", ""))
    return min(float(text), MAX_PAUSE_S) if text.isascii() and text.isdigit() else 0.0
