"""openapi.yaml against the route tables: every operation, who may call it, and what it takes."""

from typing import Final

import pytest
from tests.api.contract.document import Operation, the_contract
from tests.api.contract.tables import all_routes, template_of

from greenroom_server.delivery.hot_paths import ROUTES as HOT_ROUTES
from greenroom_server.delivery.hot_paths import STREAM_TOKEN
from greenroom_server.web.routing import PUBLIC, SIGNED, Route

NEEDS_CREDENTIAL: Final[list[dict[str, list[str]]]] = [{"bearer": []}, {"apiKey": []}]
SECURITY: Final[dict[str, list[dict[str, list[str]]]]] = {PUBLIC: [], SIGNED: [], STREAM_TOKEN: [{"streamToken": []}]}
# Beside the table: parameters of the protocol, on paths that read the query by themselves.
HOT_QUERIES: Final = {"evaluate_flags": {"flagConfigEtag", "flagConfigLastModified"}}


def test_operations_are_those_of_the_route_tables() -> None:
    """Method, path and operationId of every route stand in the document, and nothing else does."""
    documented = {(one.method, one.path, one.id) for one in the_contract().operations}
    assert documented == {(one.method, template_of(one), one.operation_id) for one in all_routes()}


@pytest.mark.parametrize("route", all_routes(), ids=lambda route: route.operation_id)
def test_security_is_what_the_route_demands(route: Route) -> None:
    """A public route takes no credential, the browser's stream its token, and every other one a credential."""
    operation = _operation_of(route)
    security = operation.document.get("security", the_contract().whole["security"])
    assert (SECURITY.get(route.permission, NEEDS_CREDENTIAL), route.permission) == (
        security,
        operation.document["x-permission"],
    )


@pytest.mark.parametrize("route", all_routes(), ids=lambda route: route.operation_id)
def test_parameters_are_what_the_route_takes(route: Route) -> None:
    """The document names exactly the query parameters that are accepted, and the headers that count."""
    operation = _operation_of(route)
    known: set[str] = set(getattr(route, "query_parameters", HOT_QUERIES.get(route.operation_id, ())))
    assert known == set(operation.parameters_in("query"))
    headers = operation.parameters_in("header")
    assert getattr(route, "idempotent", False) == ("Idempotency-Key" in headers)
    assert ("304" in operation.responses) == ("If-None-Match" in headers)
    assert ("412" in operation.responses) == ("If-Match" in headers)
    assert ("428" in operation.responses) == headers.get("If-Match", {}).get("required", False)


@pytest.mark.parametrize(
    "route", [route for route in all_routes() if isinstance(route, Route)], ids=lambda route: route.operation_id
)
def test_bodies_and_problems_follow_from_the_route(route: Route) -> None:
    """Media types are those that the route reads, and its problems those that the kit can answer with."""
    operation = _operation_of(route)
    if operation.request_body is not None:
        assert set(route.media_types) == set(operation.request_body["content"])
    problems = {"400"}
    if route.permission != PUBLIC:
        problems |= {"401"}
    if not route.is_public and route.permission != "self.read":
        problems |= {"403"}
    if "{" in route.path:
        problems |= {"404"}
    if route.reads_body:
        problems |= {"408", "413", "415"}
    if route.writes:
        problems |= {"409"}
    if route.idempotent:
        problems |= {"422"}
    if route.store is not None:
        problems |= {"503"}
    assert problems <= set(operation.responses), sorted(problems - set(operation.responses))


@pytest.mark.parametrize(
    "route", [route for route in HOT_ROUTES if route.method == "POST"], ids=lambda route: route.operation_id
)
def test_problems_of_the_protocol_carry_its_members(route: Route) -> None:
    """OFREP clients find `errorCode` and `errorDetails` in every error."""
    for status, response in _operation_of(route).responses.items():
        if status >= "400":
            schema = response["content"]["application/problem+json"]["schema"]
            assert schema == {"$ref": "#/components/schemas/OfrepProblem"}, status


def _operation_of(route: Route) -> Operation:
    operation = the_contract().operation(route.method, template_of(route))
    assert operation is not None
    return operation
