"""The route table: what can be declared, and which route answers."""

from typing import Any

import pytest
from tests.unit.web.rig import Rig, say_what_came

from greenroom_server.web.routing import PUBLIC, Call, Reply, Route

pytestmark = pytest.mark.asyncio


def route(method: str, path: str, operation_id: str, permission: str = "thing.do", **more: Any) -> Route:
    return Route(method, path, operation_id, permission, say_what_came, **more)


def naming(name: str) -> Any:
    async def handler(call: Call) -> Reply:
        return Reply(200, {"answered_by": name})

    return handler


@pytest.mark.parametrize("permission", ["", None])
async def test_route_without_permission_cannot_be_made(permission: Any) -> None:
    """Forgetting the permission fails at start, not in production."""
    with pytest.raises(ValueError, match="declares no permission"):
        route("GET", "/things", "list_things", permission)


async def test_unknown_method_cannot_be_declared() -> None:
    """A typing error in the table is found at start."""
    with pytest.raises(ValueError, match="`FETCH` is not one of"):
        route("FETCH", "/things", "list_things")


@pytest.mark.parametrize("more", [{"method": "PUT"}, {"permission": PUBLIC}])
async def test_only_a_post_with_a_credential_is_idempotent_by_key(more: dict[str, str]) -> None:
    """Keys are kept per credential, so an open route can have none."""
    with pytest.raises(ValueError, match="can be idempotent"):
        route(**{"method": "POST", "path": "/things", "operation_id": "x", **more}, idempotent=True)


@pytest.mark.parametrize(
    ("one", "other", "message"),
    [
        (("GET", "/a", "same"), ("GET", "/b", "same"), "is there twice"),
        (("GET", "/a/{x}", "one"), ("GET", "/a/{x}", "other"), "is there twice"),
        (("GET", "/a/{x}", "one"), ("PUT", "/a/{y}", "other"), "name the parameters of one path differently"),
    ],
)
async def test_table_with_a_duplicate_is_refused(
    one: tuple[str, str, str], other: tuple[str, str, str], message: str
) -> None:
    """Operation ids and method-path pairs are unique, whatever their parameters are called."""
    with pytest.raises(ValueError, match=message):
        Rig().app(route(*one), route(*other))


async def test_writing_routes_open_a_writing_transaction() -> None:
    """`writes`, `idempotent` and `store="write"` say the same about the store."""
    assert route("POST", "/a", "a", writes=True).store == "write"
    assert route("POST", "/a", "a", idempotent=True).store == "write"
    assert route("POST", "/a", "a", store="write").writes


async def test_literal_segment_wins_over_a_parameter() -> None:
    """The order of the table decides nothing."""
    table = (
        Route("GET", "/things/{thing}", "get_thing", "thing.do", naming("get_thing")),
        Route("GET", "/things/export", "export_things", "thing.do", naming("export_things")),
    )

    async with Rig().client(*table) as client:
        answers = [(await client.get(path)).json()["answered_by"] for path in ("/things/export", "/things/exports")]

    assert answers == ["export_things", "get_thing"]


async def test_unknown_path_is_a_404_problem() -> None:
    """The router's own refusals have the shape of all others."""
    async with Rig().client(route("GET", "/things", "list_things")) as client:
        reply = await client.get("/nothing")

    assert (reply.status_code, reply.headers["content-type"]) == (404, "application/problem+json")


@pytest.mark.parametrize("method", ["DELETE", "OPTIONS", "FROB", "PATCH"])
async def test_unknown_method_is_405_and_names_the_known_ones(method: str) -> None:
    """All methods of the path are allowed, not only those of its first route."""
    table = (route("GET", "/things", "list_things"), route("POST", "/things", "create_thing"))

    async with Rig().client(*table) as client:
        reply = await client.request(method, "/things")

    assert (reply.status_code, reply.headers["allow"]) == (405, "GET, HEAD, POST")


async def test_head_answers_like_get_without_the_body() -> None:
    """HEAD tells the length that GET would have."""
    async with Rig().client(route("GET", "/things", "list_things")) as client:
        got = await client.get("/things")
        head = await client.head("/things")

    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(len(got.content))


async def test_head_exists_only_where_get_does() -> None:
    """A path that can only be posted to has no HEAD."""
    async with Rig().client(route("POST", "/things", "create_thing")) as client:
        reply = await client.head("/things")

    assert (reply.status_code, reply.headers["allow"]) == (405, "POST")


async def test_template_is_the_path_without_convertors() -> None:
    """openapi.yaml knows no convertors."""
    assert route("GET", "/tokens/{token_id:uuid}", "get_token").template == "/tokens/{token_id}"


@pytest.mark.parametrize("given", ["5f0c2a91-0000-4000-8000-000000000001", "5F0C2A91-0000-4000-8000-000000000001"])
async def test_uuid_parameter_arrives_in_its_canonical_form(given: str) -> None:
    """The RFC lets ids be typed in capitals; handlers see one spelling."""
    async with Rig().client(route("GET", "/tokens/{token_id:uuid}", "get_token")) as client:
        reply = await client.get(f"/tokens/{given}")

    assert reply.json()["params"] == {"token_id": "5f0c2a91-0000-4000-8000-000000000001"}


async def test_uuid_parameter_that_is_none_is_not_found() -> None:
    """A text that is no UUID is no id of anything."""
    async with Rig().client(route("GET", "/tokens/{token_id:uuid}", "get_token")) as client:
        reply = await client.get("/tokens/mine")

    assert reply.status_code == 404


async def test_websocket_is_closed() -> None:
    """There are no websockets here, and asking for one harms nobody."""
    app, sent = Rig().app(route("GET", "/things", "list_things")), []

    async def receive() -> dict[str, Any]:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message["type"])

    for path in ("/nothing", "/things"):
        await app({"type": "websocket", "path": path, "headers": []}, receive, send)

    assert sent == ["websocket.close", "websocket.close"]
