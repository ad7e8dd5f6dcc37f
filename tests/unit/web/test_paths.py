"""One path, one spelling: what a proxy might read differently never reaches a handler."""

import pytest
from tests.unit.web.rig import Rig, connected, read_reply, request_head, say_what_came, served

from greenroom_server.web.routing import PUBLIC, Route
from greenroom_server.web.scope import has_safe_path

OPEN = Route("GET", "/api/v1/projects/{project}/flags", "list_flags", PUBLIC, say_what_came)
LONGEST_KEY = "k" * 100

GOOD_SPELLINGS = {
    "/api/v1/projects/shop/flags": "shop",
    "/api/v1/projects/%73hop/flags": "shop",
    "/api/v1/projects/a.b_c-d/flags": "a.b_c-d",
    "/api/v1/projects/a..b/flags": "a..b",
    f"/api/v1/projects/{LONGEST_KEY}/flags": LONGEST_KEY,
}
BAD_SPELLINGS = [
    "//api/v1/projects/shop/flags",
    "/api//v1/projects/shop/flags",
    "/api/v1/projects//shop/flags",
    "/api/v1/projects/shop//flags",
    "/api/v1/projects/shop/flags/",
    "/api/v1/projects/shop/flags//",
    "/api/v1/projects/shop/flags/.",
    "/api/v1/./projects/shop/flags",
    "/api/v1/x/../projects/shop/flags",
    "/api/v1/projects/../projects/shop/flags",
    "/api/v1/projects/./flags",
    "/api/v1/projects/../flags",
    "/api/v1/projects/%2e/flags",
    "/api/v1/projects/%2E%2E/flags",
    "/api/v1/%2e/projects/shop/flags",
    "/api/v1/%2e%2e/v1/projects/shop/flags",
    "/api/v1/.%2e/v1/projects/shop/flags",
    "/api/v1/projects/shop%2Fflags",
    "/api/v1/projects/shop%2fflags",
    "/api/v1/projects%2Fshop%2Fflags",
    "%2Fapi/v1/projects/shop/flags",
    "/api/v1/projects/shop%252Fx/flags",
    "/api/v1/projects/%2573hop/flags",
    "/api/v1/projects/shop;x=1/flags",
    "/api/v1/projects/shop/flags;x=1",
    "/api/v1/projects/shop%3Bx/flags",
    "/api/v1/projects/shop%5Cx/flags",
    "/api/v1\\projects/shop/flags",
    "/api/v1/projects/shop%00/flags",
    "/api/v1/projects/shop/flags%00",
    "/api/v1/projects/shop/flags%0a",
    "/api/v1/projects/shop%0A/flags",
    "/api/v1/projects/shop/flags%0d%0a",
    "/api/v1/projects/shop%20/flags",
    "/api/v1/projects/shop/flags%20",
    "/api/v1/projects/Shop/flags",
    "/api/v1/projects/shop/Flags",
    "/API/v1/projects/shop/flags",
    "/api/V1/projects/shop/flags",
    "/api/v1/projects/.shop/flags",
    "/api/v1/projects/-shop/flags",
    "/api/v1/projects/sh%C3%B6p/flags",
    "/api/v1/projects/%EF%BD%93hop/flags",
    "/api/v1/projects/%ff/flags",
    "/api/v1/projects/shop%/flags",
    "/api/v1/projects/shop%zz/flags",
    "/api/v1/projects/shop*/flags",
    f"/api/v1/projects/{LONGEST_KEY}k/flags",
    "*",
]


@pytest.mark.asyncio
async def test_only_one_spelling_reaches_the_handler() -> None:
    """Raw request lines to a real server: the good ones arrive with the key decoded, all others do not arrive."""
    arrived: dict[str, str] = {}
    async with served(Rig().app(OPEN)) as port:
        for path in [*GOOD_SPELLINGS, *BAD_SPELLINGS]:
            async with connected(port) as (reader, writer):
                writer.write(request_head(f"GET {path}"))
                status, _, body = await read_reply(reader)
            assert status in (200, 400, 404), path
            if status == 200:
                arrived[path] = body.decode().split('"')[5]

    assert arrived == GOOD_SPELLINGS


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "host", ["evil.example", "x/../../public?", "server.example/api/v1/projects/shop/flags?x", "[::1"]
)
async def test_host_header_does_not_move_the_path(host: str) -> None:
    """The route is chosen by the request line alone, whatever the Host header says (CVE-2026-48710)."""
    rig = Rig()
    guarded = Route("GET", "/api/v1/secrets", "list_secrets", "forbidden.thing", say_what_came)
    async with rig.client(guarded, OPEN) as client:
        reply = await client.get("/api/v1/secrets", headers={"Host": host})

    assert reply.status_code == 403


@pytest.mark.parametrize("path", ["/", "/livez", "/api/v1/flags/a.b"])
def test_servers_without_raw_path_are_judged_by_the_path(path: str) -> None:
    """`raw_path` is optional in ASGI."""
    assert has_safe_path({"path": path})


@pytest.mark.parametrize("path", ["/a//b", "/a/../b", "/a/", "/a;b", "/a\\b", "/a\n", "/é"])
def test_servers_without_raw_path_are_not_a_way_round(path: str) -> None:
    """What is unsafe in a raw path is unsafe here."""
    assert not has_safe_path({"path": path})
