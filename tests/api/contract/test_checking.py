"""The checking client finds what it is there to find."""

import httpx
import orjson
import pytest
from tests.api.contract.checking import ContractBroken, check_exchange
from tests.api.contract.document import the_contract

PROJECT = {
    "key": "shop",
    "name": "The shop",
    "description": "",
    "version": 1,
    "created_at": "2026-11-23T05:00:00Z",
    "updated_at": "2026-11-23T05:00:00Z",
}
PROBLEM = {"type": "/problems/not_found", "title": "Not Found", "status": 404, "detail": "no", "code": "not_found"}
URL = "http://greenroom.test/api/v1/projects/shop"
JSON = {"content-type": "application/json"}
PROBLEM_JSON = {"content-type": "application/problem+json"}


def check(
    response: httpx.Response,
    *,
    method: str = "GET",
    url: str = URL,
    headers: dict[str, str] | None = None,
    body: bytes = b"",
) -> None:
    check_exchange(the_contract(), httpx.Request(method, url, headers=headers, content=body), response)


def shown(document: object, status: int = 200, **headers: str) -> httpx.Response:
    return httpx.Response(status, headers={**JSON, "etag": '"1"', **headers}, content=orjson.dumps(document))


def test_a_documented_exchange_passes() -> None:
    """A project read as the contract says, a problem, and an unchanged one."""
    check(shown(PROJECT))
    check(httpx.Response(404, headers=PROBLEM_JSON, content=orjson.dumps(PROBLEM)))
    check(httpx.Response(304, headers={"etag": '"1"'}))


@pytest.mark.parametrize(
    ("response", "reason"),
    [
        (shown({**PROJECT, "colour": "red"}), "colour"),
        (shown({**PROJECT, "version": "1"}), "/version"),
        (shown(PROJECT, 206), "the status 206 is not documented"),
        (httpx.Response(200, headers=JSON, content=orjson.dumps(PROJECT)), "the header `etag` is missing"),
        (httpx.Response(200, headers={"etag": '"1"', "content-type": "text/html"}), "the media type `text/html`"),
        (httpx.Response(304, headers={"etag": '"1"'}, content=b"x"), "there is a body"),
        (shown(PROBLEM, 404), "the media type `application/json`"),
        (
            httpx.Response(404, headers=PROBLEM_JSON, content=orjson.dumps({**PROBLEM, "status": 400})),
            "the problem says status 400",
        ),
        (
            httpx.Response(404, headers=PROBLEM_JSON, content=orjson.dumps({**PROBLEM, "code": "gone"})),
            "does not name its code",
        ),
    ],
)
def test_an_undocumented_answer_fails(response: httpx.Response, reason: str) -> None:
    """The failure names what is wrong."""
    with pytest.raises(ContractBroken) as broken:
        check(response)
    assert reason.lower() in str(broken.value).lower()


@pytest.mark.parametrize(
    ("method", "url", "headers", "body", "reason"),
    [
        ("GET", f"{URL}?colour=red", {}, b"", "`colour` is not known"),
        ("GET", "http://greenroom.test/api/v1/projects/SHOP", {}, b"", "path parameter `project`"),
        ("PATCH", URL, JSON, b"{}", "`If-Match` is missing"),
        ("PATCH", URL, {**JSON, "if-match": "1"}, b"{}", "header `If-Match`"),
        ("PATCH", f"{URL}?dry_run=yes", {**JSON, "if-match": "*"}, b"{}", "query parameter `dry_run`"),
        ("PATCH", URL, {**JSON, "if-match": "*"}, b'{"colour": 1}', "colour"),
        ("PATCH", URL, {"content-type": "text/plain", "if-match": "*"}, b"{}", "the media type `text/plain`"),
        ("PATCH", URL, {"if-match": "*"}, b"", "the body is missing"),
    ],
)
def test_a_refused_request_must_not_be_accepted(
    method: str, url: str, headers: dict[str, str], body: bytes, reason: str
) -> None:
    """A server that accepts what the contract refuses breaks it, and the failure says by what."""
    with pytest.raises(ContractBroken) as broken:
        check(shown(PROJECT), method=method, url=url, headers=headers, body=body)
    assert reason in str(broken.value)


def test_unknown_paths_and_methods_are_problems() -> None:
    """What the contract does not have is answered 404, or 405 with `Allow`."""
    missing = httpx.Response(404, headers=PROBLEM_JSON, content=orjson.dumps(PROBLEM))
    check(missing, url="http://greenroom.test/nowhere")
    with pytest.raises(ContractBroken, match="should be 405"):
        check(missing, method="PUT")
    with pytest.raises(ContractBroken, match="should be 404"):
        check(shown(PROJECT), url="http://greenroom.test/nowhere")


def test_the_nearest_alternative_is_told() -> None:
    """Of a wrong clause the failure says what is wrong with it, not that it is none of nine."""
    segment = {
        "key": "x",
        "name": "",
        "description": "",
        "version": 1,
        "when": {"attribute": "a", "op": "gt", "values": ["1"]},
    }
    segment |= {"created_at": PROJECT["created_at"], "updated_at": PROJECT["updated_at"]}
    with pytest.raises(ContractBroken, match="/when/values/0"):
        check(shown(segment), url=f"{URL}/segments/x")
