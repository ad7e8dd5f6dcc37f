"""What happens around a handler, and in which order."""

from typing import Any

import pytest
from tests.unit.web.rig import NOW, Rig, say_what_came

from greenroom_server.errors import Conflict
from greenroom_server.web.conditional import require_if_match
from greenroom_server.web.routing import PUBLIC, Call, Reply, Route

pytestmark = pytest.mark.asyncio

PATH = "/projects/{project}/environments/{environment}"


async def write_down(call: Call) -> Reply:
    call.session.append(call.json())
    return Reply(201, {"written": True}, location="/things/1")


WRITE = Route("POST", "/things", "create_thing", "thing.write", write_down, writes=True)
READ = Route("GET", PATH, "get_thing", "thing.read", say_what_came, query=("tag", "limit"))


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"Authorization": "Bearer bad"}, 401),
        ({"Authorization": "Basic good"}, 401),
        ({"Authorization": "good"}, 401),
        ({"Authorization": "Bearer good"}, 200),
        ({"Authorization": "bearer good"}, 200),
        ({"X-API-Key": "good"}, 200),
        ({"X-API-Key": "good", "Authorization": "Bearer good"}, 200),
        ({"X-API-Key": "bad", "Authorization": "Bearer good"}, 401),
    ],
)
async def test_credential_comes_from_either_header(headers: dict[str, str], status: int) -> None:
    """Both headers are understood, and two different credentials are none."""
    async with Rig().client(READ) as client:
        del client.headers["authorization"]
        reply = await client.get("/projects/shop/environments/production", headers=headers)

    assert reply.status_code == status


async def test_authorizer_is_asked_with_permission_and_place() -> None:
    """The declared permission and the keys of the path decide, never the path's text."""
    rig = Rig()
    async with rig.client(READ) as client:
        await client.get("/projects/shop/environments/production")

    assert rig.authorizer.asked == [("good", "thing.read", "shop", "production")]


async def test_public_route_asks_nobody() -> None:
    """A route that is declared PUBLIC answers without a credential and has no principal."""
    rig = Rig()

    async def whoever(call: Call) -> Reply:
        return Reply(200, {"principal": call.principal})

    async with rig.client(Route("GET", "/open", "open_thing", PUBLIC, whoever)) as client:
        reply = await client.get("/open")

    assert reply.json() == {"principal": None}
    assert rig.authorizer.asked == []


async def test_credential_is_looked_at_before_anything_that_was_sent() -> None:
    """Without a credential nobody learns what a route would have said to their input."""
    async with Rig().client(WRITE) as client:
        reply = await client.post("/things?colour=1", content=b"{", headers={"Authorization": "Bearer bad"})

    assert reply.status_code == 401


@pytest.mark.parametrize(
    ("query", "pointer"),
    [("colour=red", "colour"), ("tag=a&tagg=b", "tagg"), ("tag=a%00", "tag"), ("dry_run=true", "dry_run")],
)
async def test_query_parameter_that_is_not_declared_is_refused(query: str, pointer: str) -> None:
    """Typing errors are told, not ignored."""
    async with Rig().client(READ) as client:
        reply = await client.get(f"/projects/shop/environments/production?{query}")

    assert (reply.status_code, reply.json()["errors"][0]["pointer"]) == (400, pointer)


@pytest.mark.parametrize("query", ["tag=%ff", "tag=" + "a" * 9000, "&".join(["tag=a"] * 60)])
async def test_query_that_cannot_be_read_is_refused(query: str) -> None:
    """Invalid UTF-8 and absurd sizes are a 400."""
    async with Rig().client(READ) as client:
        reply = await client.get(f"/projects/shop/environments/production?{query}")

    assert reply.status_code == 400


async def test_query_parameter_may_come_several_times() -> None:
    """`query` is a multi-dict."""
    async with Rig().client(READ) as client:
        reply = await client.get("/projects/shop/environments/production?tag=a&tag=b%20c&limit=")

    assert reply.json()["query"] == [["tag", "a"], ["tag", "b c"], ["limit", ""]]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Content-Type": "application/json"}, 201),
        ({"Content-Type": "Application/JSON; charset=UTF-8"}, 201),
        ({"Content-Type": "application/json; charset=latin-1"}, 415),
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Type": "application/jsonx"}, 415),
        ({"Content-Type": "application/merge-patch+json"}, 415),
        ({}, 415),
        ({"Content-Type": "application/json", "Content-Encoding": "gzip"}, 415),
        ({"Content-Type": "application/json", "Content-Encoding": "identity"}, 201),
    ],
)
async def test_body_must_come_in_a_declared_media_type(headers: dict[str, str], status: int) -> None:
    """Another media type, charset or encoding is 415, and nothing is written."""
    rig = Rig()
    async with rig.client(WRITE) as client:
        reply = await client.post("/things", content=b'{"a":1}', headers=headers)

    assert reply.status_code == status
    assert rig.ledger.kept == ([{"a": 1}] if status == 201 else [])


async def test_route_may_declare_other_media_types() -> None:
    """A handler that reads YAML says so and is told what came."""

    async def take_in(call: Call) -> Reply:
        return Reply(200, {"came": call.media_type})

    route = Route("POST", "/import", "import_things", "thing.write", take_in, media_types=("application/yaml",))
    async with Rig().client(route) as client:
        reply = await client.post("/import", content=b"a: 1", headers={"Content-Type": "application/yaml"})

    assert reply.json() == {"came": "application/yaml"}


@pytest.mark.parametrize("media_type", ["application/json", "application/merge-patch+json"])
async def test_patch_reads_merge_patches(media_type: str) -> None:
    """PATCH takes its own media type, and plain JSON for convenience."""
    route = Route("PATCH", "/things", "change_thing", "thing.write", say_what_came)
    async with Rig().client(route) as client:
        reply = await client.patch("/things", content=b'{"a":null}', headers={"Content-Type": media_type})

    assert reply.json()["body"] == {"a": None}


async def test_missing_body_is_told() -> None:
    """A handler that asks for JSON where none came answers 400."""
    async with Rig().client(WRITE) as client:
        reply = await client.post("/things")

    assert (reply.status_code, reply.json()["detail"]) == (400, "the request needs a JSON body")


async def test_success_commits() -> None:
    """One transaction, committed once."""
    rig = Rig()
    async with rig.client(WRITE) as client:
        reply = await client.post("/things", json=1)

    assert (reply.status_code, reply.headers["location"], rig.ledger.kept) == (201, "/things/1", [1])
    assert (rig.ledger.opened, rig.ledger.ends) == ([(True, False)], ["commit"])


async def answer_what_has_no_json_form(call: Call) -> Reply:
    call.session.append("written")
    return Reply(200, object())


async def fail(call: Call) -> Reply:
    call.session.append("written")
    raise Conflict


async def break_down(call: Call) -> Reply:
    call.session.append("written")
    raise RuntimeError("the password is hunter2")


@pytest.mark.parametrize(("handler", "status"), [(fail, 409), (break_down, 500), (answer_what_has_no_json_form, 500)])
async def test_failure_rolls_back(handler: Any, status: int) -> None:
    """Whatever goes wrong before the answer is ready, nothing is kept and nothing inside is told."""
    rig = Rig()
    async with rig.client(Route("POST", "/things", "create_thing", "thing.write", handler, writes=True)) as client:
        reply = await client.post("/things")

    assert (reply.status_code, rig.ledger.kept, rig.ledger.ends) == (status, [], ["rollback"])
    assert "hunter2" not in reply.text


async def test_dry_run_answers_and_keeps_nothing() -> None:
    """`?dry_run=true` runs everything but the commit."""
    rig = Rig()
    async with rig.client(WRITE) as client:
        reply = await client.post("/things?dry_run=true", json=1)

    assert (reply.status_code, rig.ledger.kept, rig.ledger.opened) == (201, [], [(True, True)])


@pytest.mark.parametrize("query", ["dry_run=yes", "dry_run=", "dry_run=true&dry_run=false", "dry_run=1"])
async def test_unclear_dry_run_is_refused(query: str) -> None:
    """What might be meant as a dry run is never carried out."""
    rig = Rig()
    async with rig.client(WRITE) as client:
        reply = await client.post(f"/things?{query}", json=1)

    assert (reply.status_code, rig.ledger.opened) == (400, [])


async def test_reading_route_opens_a_reading_transaction() -> None:
    """`store="read"` never asks for the right to write."""
    rig = Rig()
    async with rig.client(Route("GET", "/things", "list_things", "thing.read", say_what_came, store="read")) as client:
        await client.get("/things")

    assert rig.ledger.opened == [(False, False)]


@pytest.mark.parametrize(("sent", "status"), [('W/"7"', 304), ('"7"', 304), ('"6"', 200)])
async def test_unchanged_thing_is_304(sent: str, status: int) -> None:
    """A GET with the current tag gets no body, but the tag again."""

    async def show(call: Call) -> Reply:
        return Reply(200, {"version": 7}, etag='"7"')

    async with Rig().client(Route("GET", "/things", "get_thing", "thing.read", show)) as client:
        reply = await client.get("/things", headers={"If-None-Match": sent})

    assert (reply.status_code, reply.headers["etag"]) == (status, '"7"')
    assert (reply.content == b"") == (status == 304)


@pytest.mark.parametrize(("sent", "status"), [({"If-Match": '"7"'}, 200), ({"If-Match": '"6"'}, 412), ({}, 428)])
async def test_handler_demands_the_current_version(sent: dict[str, str], status: int) -> None:
    """`require_if_match` turns into 412 and 428 on the wire."""

    async def change(call: Call) -> Reply:
        require_if_match(call, '"7"')
        return Reply(200, {}, etag='"8"')

    async with Rig().client(Route("PUT", "/things", "change_thing", "thing.write", change, writes=True)) as client:
        reply = await client.put("/things", headers=sent)

    assert reply.status_code == status


async def test_call_knows_the_time_by_the_clock() -> None:
    """Handlers take the time from the call."""

    async def tell(call: Call) -> Reply:
        return Reply(200, {"now": call.now})

    async with Rig().client(Route("GET", "/now", "tell_time", "thing.read", tell)) as client:
        reply = await client.get("/now")

    assert reply.json() == {"now": NOW.isoformat().replace("+00:00", "Z")}


async def test_empty_answer_has_no_content_type() -> None:
    """204 is really empty."""

    async def remove(call: Call) -> Reply:
        return Reply(204)

    async with Rig().client(Route("DELETE", "/things", "remove_thing", "thing.write", remove)) as client:
        reply = await client.delete("/things")

    assert (reply.status_code, reply.content) == (204, b"")
    assert "content-type" not in reply.headers
    assert "content-length" not in reply.headers
