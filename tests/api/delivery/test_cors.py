"""Browsers: preflights, exposed headers, allowed origins, and no cookies."""

import httpx
import pytest
from tests.unit.delivery.rig import Stage, flag

pytestmark = pytest.mark.asyncio

PATH = "/ofrep/v1/evaluate/flags"
ORIGIN = "https://shop.example"


async def ask(
    stage: Stage, method: str, path: str = PATH, *, token: str | None = "client", **headers: str
) -> httpx.Response:
    async with stage.client(token, **{name.replace("_", "-"): value for name, value in headers.items()}) as client:
        return await client.request(method, path, json={} if method == "POST" else None)


@pytest.mark.parametrize("path", [PATH, f"{PATH}/a", "/ofrep/v1/stream"])
async def test_preflight_takes_no_credential(path: str) -> None:
    """Browsers send none with it."""
    reply = await ask(
        Stage(flag("a")),
        "OPTIONS",
        path,
        token=None,
        origin=ORIGIN,
        access_control_request_method="POST",
        access_control_request_headers="content-type,authorization,if-none-match",
    )

    assert (reply.status_code, reply.content) == (204, b"")
    assert reply.headers["access-control-allow-origin"] == "*"
    assert "POST" in reply.headers["access-control-allow-methods"]
    allowed = reply.headers["access-control-allow-headers"].lower()
    for name in ("content-type", "authorization", "x-api-key", "if-none-match", "traceparent"):
        assert name in allowed
    assert int(reply.headers["access-control-max-age"]) > 0
    assert "access-control-allow-credentials" not in reply.headers


async def test_answers_expose_etag_and_retry_after() -> None:
    """On success, on 304 and on errors alike."""
    stage = Stage(flag("a", client_visible=True))
    bulk = await ask(stage, "POST", origin=ORIGIN)
    replies = [
        bulk,
        await ask(stage, "POST", origin=ORIGIN, if_none_match=bulk.headers["etag"]),
        await ask(stage, "POST", f"{PATH}/a", origin=ORIGIN),
        await ask(stage, "POST", f"{PATH}/nope", origin=ORIGIN),
        await ask(stage, "POST", token="nobody", origin=ORIGIN),
        await ask(stage, "GET", "/ofrep/v1/stream?token=x", origin=ORIGIN),
    ]

    assert [reply.status_code for reply in replies] == [200, 304, 200, 404, 401, 401]
    for reply in replies:
        assert reply.headers["access-control-allow-origin"] == "*"
        assert {"ETag", "Retry-After"} <= set(reply.headers["access-control-expose-headers"].split(", "))


async def test_only_listed_origins_may_read() -> None:
    """The others get an answer that their browser keeps from them."""
    stage = Stage(flag("a"), cors_origins=(ORIGIN, "https://other.example/"))

    for origin, allowed in (
        (ORIGIN, True),
        ("https://other.example", True),
        ("https://evil.example", False),
        ("null", False),
    ):
        for method in ("POST", "OPTIONS"):
            reply = await ask(stage, method, origin=origin)
            assert reply.headers.get("access-control-allow-origin") == (origin if allowed else None)
            assert "Origin" in reply.headers["vary"]


async def test_without_origin_nothing_is_said() -> None:
    """Servers do not pay for browsers."""
    reply = await ask(Stage(flag("a")), "POST")

    assert not [name for name in reply.headers if name.startswith("access-control")]


async def test_snapshot_is_not_for_browsers() -> None:
    """No origin may read it."""
    reply = await ask(Stage(flag("a")), "GET", "/api/v1/sdk/snapshot", token="server", origin=ORIGIN)

    assert reply.status_code == 200
    assert "access-control-allow-origin" not in reply.headers
