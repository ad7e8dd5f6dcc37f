"""What surrounds every request."""

import asyncio
from typing import Any

import pytest
import structlog
from starlette.types import ASGIApp
from tests.unit.web.rig import Rig, client_of, connected, read_reply, request_head, say_what_came, served

from greenroom_server.web.middleware import Finished, HostAllowList, RequestBoundary
from greenroom_server.web.routing import PUBLIC, Call, Reply, Route

pytestmark = pytest.mark.asyncio

OPEN = Route("GET", "/things/{thing}", "get_thing", PUBLIC, say_what_came)


def bounded(app: ASGIApp | None = None, told: list[Finished] | None = None) -> ASGIApp:
    return RequestBoundary(app or Rig().app(OPEN), observers=[told.append] if told is not None else [])


async def break_down(scope: Any, receive: Any, send: Any) -> None:
    raise RuntimeError("the password is hunter2")


@pytest.mark.parametrize("sent", ["r-1234567", "5f0c2a91-0000-4000-8000-000000000001", "A.b_c-9xx"])
async def test_sane_request_id_is_kept(sent: str) -> None:
    """A caller can find its own request again."""
    async with client_of(bounded()) as client:
        reply = await client.get("/things/a", headers={"X-Request-Id": sent})

    assert reply.headers["x-request-id"] == sent


@pytest.mark.parametrize("sent", ["", "short", "x" * 65, "a b c d e f", 'evil"},{"x', "löng-enough"])
async def test_other_request_id_is_replaced(sent: str) -> None:
    """What could confuse a log is not echoed."""
    async with client_of(bounded()) as client:
        reply = await client.get("/things/a", headers=[(b"X-Request-Id", sent.encode("latin-1"))])

    assert reply.headers["x-request-id"] != sent
    assert len(reply.headers["x-request-id"]) == 32


@pytest.mark.parametrize("path", ["/things/a", "/nothing", "/things/a?x=1"])
async def test_every_reply_carries_id_and_nosniff(path: str) -> None:
    """Good or bad, an answer has the same safe headers."""
    async with client_of(bounded()) as client:
        reply = await client.get(path)

    assert (reply.headers["x-content-type-options"], reply.headers["cache-control"]) == ("nosniff", "no-store")
    assert "x-request-id" in reply.headers


async def test_problem_names_the_request() -> None:
    """`instance` is the id of the header."""
    async with client_of(bounded()) as client:
        reply = await client.get("/nothing", headers={"X-Request-Id": "r-1234567"})

    assert reply.json()["instance"] == "urn:greenroom:request:r-1234567"


async def test_uncaught_error_becomes_a_500_problem(caplog: pytest.LogCaptureFixture) -> None:
    """The last resort tells the log everything and the client nothing."""
    async with client_of(bounded(break_down)) as client:
        reply = await client.get("/")

    assert (reply.status_code, reply.json()["code"]) == (500, "internal")
    assert "hunter2" not in reply.text
    assert "hunter2" in caplog.text


async def test_error_after_the_answer_began_cuts_the_connection() -> None:
    """A half-sent answer is never mistaken for a whole one."""

    async def break_half_way(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"10")]})
        await send({"type": "http.response.body", "body": b"half", "more_body": True})
        raise RuntimeError

    async with served(bounded(break_half_way)) as port, connected(port) as (reader, writer):
        writer.write(request_head("GET /"))
        with pytest.raises(asyncio.IncompleteReadError):
            await read_reply(reader)


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/things/a", ("get_thing", "/things/{thing}", "GET", 200)),
        ("PUT", "/things/a", ("none", "", "PUT", 405)),
        ("GET", "/nothing", ("none", "", "GET", 404)),
        ("SPRINT", "/nothing", ("none", "", "OTHER", 404)),
    ],
)
async def test_observers_are_told_once_and_only_fixed_texts(
    method: str, path: str, expected: tuple[str, str, str, int]
) -> None:
    """Labels come from the route table, so a scanner cannot fill the metrics."""
    told: list[Finished] = []
    async with client_of(bounded(told=told)) as client:
        await client.request(method, path)

    assert [(one.operation_id, one.template, one.method, one.status) for one in told] == [expected]
    assert told[0].duration_s > 0


async def test_event_stream_is_told_when_it_begins() -> None:
    """How long a client listens is no measure of the server."""
    told: list[Finished] = []
    told_at_the_first_event = []

    async def stream(scope: Any, receive: Any, send: Any) -> None:
        headers = [(b"content-type", b"text/event-stream")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        told_at_the_first_event.append(len(told))
        await send({"type": "http.response.body", "body": b": hello\n\n"})

    async with client_of(bounded(stream, told)) as client:
        await client.get("/stream")

    assert (told_at_the_first_event, len(told)) == ([1], 1)


async def test_client_that_left_before_the_answer_is_499() -> None:
    """An answer that never began is told apart from one that failed."""
    told: list[Finished] = []

    async def say_nothing(scope: Any, receive: Any, send: Any) -> None:
        return

    await bounded(say_nothing, told)({"type": "http", "method": "GET", "path": "/", "headers": []}, None, None)  # type: ignore[arg-type]

    assert [one.status for one in told] == [499]


async def test_log_lines_know_their_request() -> None:
    """Whatever is logged during a request carries its id, and nothing is left behind."""
    seen: list[dict[str, Any]] = []

    async def look(call: Call) -> Reply:
        seen.append(structlog.contextvars.get_contextvars())
        return Reply(200, {})

    async with client_of(bounded(Rig().app(Route("GET", "/", "look", PUBLIC, look)))) as client:
        await client.get("/", headers={"X-Request-Id": "r-1234567"})

    assert seen == [{"request_id": "r-1234567"}]
    assert structlog.contextvars.get_contextvars() == {}


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("flags.example.com", 200),
        ("FLAGS.example.com:8350", 200),
        ("a.internal", 200),
        ("a.b.internal:80", 200),
        ("[::1]:8350", 200),
        ("internal", 400),
        ("evilinternal", 400),
        ("example.com", 400),
        ("flags.example.com.evil.org", 400),
        ("flags.example.com:80:80", 400),
        ("", 400),
    ],
)
async def test_only_allowed_hosts_are_answered(host: str, status: int) -> None:
    """Exact names and names below a domain; ports and capitals do not count."""
    app = HostAllowList(Rig().app(OPEN), hosts=("flags.example.com", "*.internal", "[::1]"))
    async with client_of(app) as client:
        reply = await client.get("/things/a", headers={"Host": host})

    assert reply.status_code == status


async def test_probes_may_call_by_address() -> None:
    """Load balancers ask for `/livez` with the machine's address as Host."""
    app = HostAllowList(Rig().app(Route("GET", "/livez", "live", PUBLIC, say_what_came)), hosts=("flags.example.com",))
    async with client_of(app) as client:
        reply = await client.get("/livez", headers={"Host": "10.0.0.7:8350"})

    assert reply.status_code == 200


async def test_star_answers_to_any_name() -> None:
    """The default asks for nothing."""
    async with client_of(HostAllowList(Rig().app(OPEN), hosts=("*",))) as client:
        reply = await client.get("/things/a", headers={"Host": "whatever"})

    assert reply.status_code == 200
