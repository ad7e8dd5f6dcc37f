"""Errors as RFC 9457 problem documents."""

from typing import Any

import pytest
from tests.unit.web.rig import Rig, say_what_came

from greenroom_server import errors
from greenroom_server.web.problems import MethodNotAllowed, RequestTimeout, problem_of, status_of
from greenroom_server.web.routing import Route


def every_error() -> list[type[errors.GreenroomError]]:
    return [
        kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.GreenroomError)
    ]


@pytest.mark.asyncio
async def test_error_shape_on_the_wire() -> None:
    """This is the shape of every error of the admin API; clients rely on it."""
    route = Route("GET", "/things", "list_things", "thing.read", say_what_came)

    async with Rig().client(route) as client:
        reply = await client.get("/things?colour=red")

    assert reply.status_code == 400
    assert reply.headers["content-type"] == "application/problem+json"
    assert reply.headers["cache-control"] == "no-store"
    assert reply.json() == {
        "type": "/problems/invalid",
        "title": "Bad Request",
        "status": 400,
        "detail": "the query parameter `colour` is not known here",
        "code": "invalid",
        "errors": [{"pointer": "colour", "detail": "the query parameter `colour` is not known here"}],
    }


@pytest.mark.parametrize("kind", every_error())
def test_every_error_class_has_a_number(kind: type[errors.GreenroomError]) -> None:
    """Only the root of the tree is a 500; whoever adds an error must say what it is."""
    needed: dict[type[errors.GreenroomError], tuple[Any, ...]] = {
        errors.LimitExceeded: ("x", 1),
        errors.PayloadTooLarge: ("x", 1),
        errors.ReleaseRefused: ({"decision": "deny"},),
        errors.ApprovalRequired: (["production"], "/change-requests"),
    }
    error = kind(*needed.get(kind, ()))

    assert (status_of(error) == 500) == (kind is errors.GreenroomError)


@pytest.mark.parametrize(("verdict", "code"), [("deny", "release_denied"), ("wait", "release_waits")])
def test_a_refused_release_tells_the_whole_decision(verdict: str, code: str) -> None:
    """Whoever is refused sees what was decided, and whether waiting may help."""
    decision = {"id": "d1", "decision": verdict, "rules": [{"id": "clear", "outcome": "fail"}]}

    problem = problem_of(errors.ReleaseRefused(decision))

    assert problem.status == 409
    assert (problem.body["code"], problem.body["decision"]) == (code, decision)


@pytest.mark.parametrize("error", [ValueError("password=hunter2"), errors.GreenroomError("select * from secrets")])
def test_unforeseen_errors_say_nothing_about_the_inside(error: Exception) -> None:
    """A 500 carries the request's id and no text of the exception."""
    problem = problem_of(error, request_id="r-1234567")

    assert problem.body == {
        "type": "/problems/internal",
        "title": "Internal Server Error",
        "status": 500,
        "detail": "something went wrong",
        "code": "internal",
        "instance": "urn:greenroom:request:r-1234567",
    }


def test_limits_are_named_with_their_value() -> None:
    """A refusal for size names the limit, its maximum and the field."""
    body = problem_of(errors.LimitExceeded("rules", 100, field="/rules")).body

    assert (body["limit"], body["maximum"], body["errors"][0]["pointer"]) == ("rules", 100, "/rules")


def test_no_more_than_twenty_errors_are_listed() -> None:
    """A body with thousands of mistakes does not get an answer as long."""
    many = [errors.FieldError(f"/{index}", "wrong") for index in range(100)]

    assert len(problem_of(errors.Invalid(errors=many)).body["errors"]) == 20


@pytest.mark.parametrize(
    ("error", "name", "value"),
    [
        (errors.Unavailable(retry_after_s=0), "retry-after", "1"),
        (errors.TooManyRequests(retry_after_s=30), "retry-after", "30"),
        (errors.Unauthenticated(), "www-authenticate", 'Bearer realm="greenroom"'),
        (MethodNotAllowed({"POST", "GET"}), "allow", "GET, POST"),
    ],
)
def test_headers_that_belong_to_a_status(error: errors.GreenroomError, name: str, value: str) -> None:
    """401, 405, 429 and 503 carry their header, and Retry-After is a whole number of at least one."""
    assert problem_of(error).headers[name] == value


def test_own_code_becomes_the_type() -> None:
    """An area can name its case more exactly without a class or a number of its own."""
    body = problem_of(errors.Conflict("the key `x` is taken", code="key_taken")).body

    assert (body["type"], body["code"], body["status"]) == ("/problems/key_taken", "key_taken", 409)


def test_slow_bodies_are_408() -> None:
    """The kit's own timeout has its own number."""
    assert status_of(RequestTimeout()) == 408
