"""No other spelling of a path and no `Host` opens a door: the routes and the hot paths read them alike."""

from typing import Any, Final
from urllib.parse import unquote

import orjson
import pytest
from starlette.types import Message
from tests.api.conftest import Example

from greenroom_server.app import Server

pytestmark = pytest.mark.asyncio(loop_scope="module")

# Method, path, credential, body: each answers 200 when it is spelled so.
DOORS: Final[list[tuple[str, str, str, Any]]] = [
    ("GET", "/api/v1/projects/shop/flags/gift-cards", "admin", None),
    ("GET", "/api/v1/projects/shop/environments/production/flags/gift-cards", "admin", None),
    ("GET", "/api/v1/whoami", "client", None),
    ("GET", "/api/v1/sdk/snapshot", "server", None),
    ("POST", "/ofrep/v1/evaluate/flags", "client", {"context": {}}),
    ("POST", "/ofrep/v1/evaluate/flags/gift-cards", "client", {"context": {}}),
]
HOSTS: Final = [
    "localhost",
    "127.0.0.1:8350",
    "greenroom.test/api/v1/whoami?",
    "x/api/v1/whoami#",
    "livez",
    "evil.example:80@greenroom.test",
    "[::1]",
    "",
    "a" * 300,
]


def spellings_of(path: str) -> list[str]:
    """Other ways to write the path that some proxy, or a careless router, would take for the same."""
    head, _, last = path.rpartition("/")
    first, *middle = path.strip("/").split("/")
    rest = "/".join(middle)
    return [
        f"{path}/",
        f"{path}//",
        f"{path}/.",
        f"{path}/./",
        f"{path}/..",
        f"{path}/x/..",
        f"{path}/%2e",
        f"{path}/%2e%2e/{last}",
        f"/{path}",
        f"//{first}/{rest}",
        f"/{first}//{rest}",
        f"{head}//{last}",
        f"{head}/./{last}",
        f"{head}/x/../{last}",
        f"{head}/%2e/{last}",
        f"{head}/%2E/{last}",
        f"{head}/.%2e/{last}",
        f"{head}/%2e%2e/{last}",
        f"/x/..{path}",
        f"/.{path}",
        f"/%2e{path}",
        f"/..{path}",
        f"{head}%2F{last}",
        f"{head}%2f{last}",
        f"/{first}%2F{rest}",
        f"/%2F{first}/{rest}",
        f"{head}%252F{last}",
        f"{head}%5C{last}",
        f"{head}/{last};x",
        f"{head}/{last};x=1",
        f"{head};x/{last}",
        f"/{first};x=1/{rest}",
        f"{head}/{last}%3B",
        f"{head}/{last}%00",
        f"{head}/{last}%0a",
        f"{head}/{last}%0d%0a",
        f"{head}/{last}%20",
        f"{head}/%20{last}",
        f"{head}/{last}%3Fx",
        f"{head}/{last}%23",
        f"{head}/{last}.",
        f"{head}/{last}.json",
        f"{head}/{last.upper()}",
        f"{head}/{last.capitalize()}",
        f"/{first.upper()}/{rest}",
        f"{head}/{last}%ff",
        f"{head}/{last}%",
        f"{head}/{last}%zz",
        f"{head}/{last}*",
    ]


@pytest.mark.parametrize(("method", "path", "credential", "body"), DOORS, ids=[door[1] for door in DOORS])
async def test_no_other_spelling_is_served(
    shared_server: Server, example: Example, method: str, path: str, credential: str, body: Any
) -> None:
    """The path itself answers 200, and none of its other spellings does."""
    served = []
    token = example.tokens[credential]
    assert await status_of(shared_server, method, path, token, body) == 200
    for spelling in spellings_of(path):
        if 200 <= await status_of(shared_server, method, spelling, token, body) < 300:
            served.append(spelling)
    assert served == []


@pytest.mark.parametrize(("method", "path", "credential", "body"), DOORS, ids=[door[1] for door in DOORS])
@pytest.mark.parametrize("credential_sent", [True, False])
async def test_host_changes_nothing(
    shared_server: Server,
    example: Example,
    method: str,
    path: str,
    credential: str,
    body: Any,
    credential_sent: bool,
) -> None:
    """Whatever stands in `Host` and its like: who has a credential is let in, and who has none is not."""
    token = example.tokens[credential] if credential_sent else None
    expected = 200 if credential_sent else 401
    for host in HOSTS:
        for name in ("Host", "X-Forwarded-Host", "X-Original-URL", "X-Rewrite-URL", "X-Forwarded-Prefix"):
            found = await status_of(shared_server, method, path, token, body, {name: host})
            assert found == expected, (name, host)


async def status_of(
    server: Server, method: str, path: str, token: str | None, body: Any, headers: dict[str, str] | None = None
) -> int:
    """The status of the answer to this very request line: HTTP clients would tidy it up before."""
    data = b"" if body is None else orjson.dumps(body)
    sent = {"host": "greenroom.test", "content-length": str(len(data))}
    if token is not None:
        sent["authorization"] = f"Bearer {token}"
    if data:
        sent["content-type"] = "application/json"
    sent |= {name.lower(): value for name, value in (headers or {}).items()}
    raw_path, _, query = path.partition("?")
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": unquote(raw_path),  # as uvicorn makes it
        "raw_path": raw_path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(name.encode(), value.encode()) for name, value in sent.items()],
        "client": ("127.0.0.1", 40000),
        "server": ("127.0.0.1", 8350),
    }
    statuses = []

    async def receive() -> Message:
        return {"type": "http.request", "body": data, "more_body": False}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    await server(scope, receive, send)
    return int(statuses[0])
