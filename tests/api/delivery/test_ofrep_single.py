"""`POST /ofrep/v1/evaluate/flags/{key}`: the fact sheet's checklist, for one flag."""

from typing import Any

import orjson
import pytest
from tests.unit.delivery.rig import Stage, flag, rule, valued

from greenroom_server.delivery.requests import MAX_CONTEXT_BYTES

pytestmark = pytest.mark.asyncio

PATH = "/ofrep/v1/evaluate/flags/a"
SPLIT = {"split": [{"variant": "on", "weight": 50_000}, {"variant": "off", "weight": 50_000}]}


@pytest.mark.parametrize(
    ("kind", "value", "text"),
    [
        ("boolean", True, b'"value":true'),
        ("string", "ä", '"value":"ä"'.encode()),
        ("integer", 10, b'"value":10,'),
        ("float", 10.0, b'"value":10.0,'),
        ("float", 10, b'"value":10.0,'),
        ("float", 0.1, b'"value":0.1,'),
        ("object", {"b": 1, "a": [1.0, None]}, b'"value":{"b":1,"a":[1.0,null]}'),
    ],
)
async def test_value_is_written_in_its_type(kind: str, value: Any, text: bytes) -> None:
    """Floats have a point, integers none, objects keep the order of their members."""
    variants = {"on": value, "off": False if kind == "boolean" else value}
    reply = await Stage(flag("a", type=kind, variants=variants)).evaluate("a")

    assert reply.status_code == 200
    assert reply.headers["content-type"] == "application/json"
    assert text in reply.content


@pytest.mark.parametrize(
    ("members", "context", "reason", "variant"),
    [
        ({}, {}, "STATIC", "on"),
        ({"enabled": False}, {}, "DISABLED", "off"),
        ({"rules": [rule("off", "plan", "pro")]}, {"plan": "pro"}, "TARGETING_MATCH", "off"),
        ({"rules": [rule("off", "plan", "pro")]}, {"plan": "free"}, "DEFAULT", "on"),
        ({"rules": [rule("off", "plan", "pro")]}, {}, "DEFAULT", "on"),
        ({"fallthrough": SPLIT}, {"targetingKey": "u"}, "SPLIT", None),
    ],
    ids=["static", "disabled", "match", "default", "no attribute", "split"],
)
async def test_reason_and_variant(
    members: dict[str, Any], context: dict[str, Any], reason: str, variant: str | None
) -> None:
    """Every success has key, value, an OpenFeature reason and a variant."""
    body = (await Stage(flag("a", **members)).evaluate("a", context)).json()

    assert body["reason"] == reason
    assert variant is None or body["variant"] == variant
    assert list(body)[:4] == ["key", "value", "reason", "variant"]
    assert body["key"] == "a"
    assert body["value"] == (body["variant"] == "on")


async def test_server_key_gets_the_cause() -> None:
    """Flat metadata: the version, and what decided."""
    stage = Stage(
        flag("a", version=7, rules=[rule("off", "plan", "pro")]),
        flag("b", prerequisites=[{"flag": "c", "variants": ["off"]}]),
        flag("c"),
    )

    assert (await stage.evaluate("a", {"plan": "pro"})).json()["metadata"] == {"version": 7, "rule": "r-off"}
    metadata = (await stage.evaluate("b")).json()["metadata"]
    assert metadata == {"version": 1, "cause": "prerequisite", "prerequisite": "c"}


async def test_missing_targeting_key_is_an_error_only_where_it_is_needed() -> None:
    """400 TARGETING_KEY_MISSING with the key, the code and details."""
    stage = Stage(flag("a", fallthrough=SPLIT), flag("b"))

    reply = await stage.evaluate("a")

    assert reply.status_code == 400
    assert reply.json()["errorCode"] == "TARGETING_KEY_MISSING"
    assert reply.json()["key"] == "a"
    assert reply.json()["errorDetails"]
    assert (await stage.evaluate("b")).status_code == 200


async def test_flag_that_cannot_be_compiled_is_a_parse_error_of_its_own() -> None:
    """Others go on."""
    stage = Stage(flag("a", rules=[rule("on", "x", 1, op="no_such_operator")]), flag("b"))

    reply = await stage.evaluate("a")

    assert (reply.status_code, reply.json()["errorCode"]) == (400, "PARSE_ERROR")
    assert (await stage.evaluate("b")).status_code == 200


async def test_unknown_flag_is_not_found() -> None:
    """404 FLAG_NOT_FOUND, whatever the key is made of."""
    stage = Stage(flag("a"))
    for spelling, key in (("nope", "nope"), ("a/b%20c", "a/b c"), ("%22%3Cx%3E", '"<x>'), ("", ""), ("A", "A")):
        reply = await stage.evaluate(spelling)

        assert reply.status_code == 404
        assert reply.json()["key"] == key
        assert reply.json()["errorCode"] == "FLAG_NOT_FOUND"
        assert reply.json()["errorDetails"]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "PARSE_ERROR"),
        (b"{", "PARSE_ERROR"),
        (b"\xff", "PARSE_ERROR"),
        (b'{"context":{"a":NaN}}', "PARSE_ERROR"),
        (b"[]", "INVALID_CONTEXT"),
        (b'{"context":1}', "INVALID_CONTEXT"),
        (b'{"context":{"targetingKey":1}}', "INVALID_CONTEXT"),
        (b'{"context":{"a":1,"a":2}}', "INVALID_CONTEXT"),
        (b'{"context":{"a":9007199254740993}}', "INVALID_CONTEXT"),
    ],
)
async def test_bad_request_says_what_is_wrong(body: bytes, code: str) -> None:
    """400 with OFREP's members and a problem's, side by side."""
    async with Stage(flag("a")).client() as client:
        reply = await client.post(PATH, content=body, headers={"content-type": "application/json"})

    assert reply.status_code == 400
    assert reply.headers["content-type"] == "application/problem+json"
    document = reply.json()
    assert (document["key"], document["errorCode"]) == ("a", code)
    assert document["errorDetails"] == document["detail"]
    assert {"type", "title", "status", "code"} <= set(document)


@pytest.mark.parametrize("body", [b"{}", b'{"context":{}}', b'{"context":null}'])
async def test_request_without_context_is_answered(body: bytes) -> None:
    """Real providers send these."""
    async with Stage(flag("a")).client() as client:
        reply = await client.post(PATH, content=body, headers={"content-type": "application/json"})

    assert reply.status_code == 200


async def test_context_past_its_limit_is_refused_by_name() -> None:
    """413 with limit and maximum; at the limit it is read."""
    async with Stage(flag("a")).client() as client:
        largest = b'{"context":{}}'.ljust(MAX_CONTEXT_BYTES)
        assert (await client.post(PATH, content=largest)).status_code == 200
        reply = await client.post(PATH, content=largest + b" ")

    assert reply.status_code == 413
    assert (reply.json()["limit"], reply.json()["maximum"]) == ("evaluation_context_bytes", MAX_CONTEXT_BYTES)
    assert reply.json()["key"] == "a"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"content-type": "application/json; charset=utf-8"}, 200),
        ({"content-type": "application/vnd.x+json"}, 200),
        ({}, 200),
        ({"content-type": "text/plain"}, 415),
        ({"content-type": "application/x-www-form-urlencoded"}, 415),
        ({"content-type": "application/json", "content-encoding": "gzip"}, 415),
    ],
)
async def test_media_types(headers: dict[str, str], status: int) -> None:
    """JSON by any of its names, or unnamed; nothing else, and nothing compressed."""
    async with Stage(flag("a")).client() as client:
        reply = await client.post(PATH, content=b"{}", headers=headers)

    assert reply.status_code == status
    assert status == 200 or reply.json()["errorCode"] == "GENERAL"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Authorization": "Bearer server"}, 200),
        ({"Authorization": "bearer server"}, 200),
        ({"X-API-Key": "server"}, 200),
        ({"Authorization": "Bearer server", "X-API-Key": "server"}, 200),
        ({"Authorization": "Bearer server", "X-API-Key": "client"}, 401),
        ({"Authorization": "Bearer nobody"}, 401),
        ({"Authorization": "Basic c2VydmVyOg=="}, 401),
        ({"Authorization": "Bearer "}, 401),
        ({"Authorization": "server"}, 401),
        ({"X-API-Key": ""}, 401),
        ({}, 401),
        ({"Authorization": "Bearer admin"}, 403),
    ],
)
async def test_both_ways_to_send_a_credential(headers: dict[str, str], status: int) -> None:
    """`Authorization: Bearer` or `X-API-Key`; two that differ are none."""
    async with Stage(flag("a")).client(None) as client:
        reply = await client.post(PATH, json={}, headers=headers)

    assert reply.status_code == status
    if status != 200:
        assert (reply.json()["key"], reply.json()["errorCode"]) == ("a", "GENERAL")
        assert reply.json()["errorDetails"]


async def test_duplicate_credentials_that_differ_are_none() -> None:
    """Twice the same header does not let the later one win."""
    async with Stage(flag("a")).client(None) as client:
        headers = [("Authorization", "Bearer nobody"), ("Authorization", "Bearer server")]
        reply = await client.post(PATH, json={}, headers=headers)

    assert reply.status_code == 401


async def test_revoked_key_is_refused_at_once() -> None:
    """The next request already."""
    stage = Stage(flag("a"))
    assert (await stage.evaluate("a")).status_code == 200

    stage.keys.revoke("server")

    assert (await stage.evaluate("a")).status_code == 401


async def test_environment_that_is_not_there_yet_says_when_to_come_back() -> None:
    """503 with whole seconds to wait, at least one."""
    stage = Stage(flag("a"))
    stage.source.is_down = True

    reply = await stage.evaluate("a")

    assert reply.status_code == 503
    assert int(reply.headers["retry-after"]) >= 1
    assert (reply.json()["key"], reply.json()["errorCode"]) == ("a", "GENERAL")


async def test_environment_that_is_gone_is_not_found() -> None:
    """404, and not as if only the flag were missing."""
    stage = Stage(flag("a"))
    stage.source.sites.clear()

    reply = await stage.evaluate("a")

    assert (reply.status_code, reply.json()["errorCode"]) == (404, "GENERAL")


async def test_bug_inside_says_nothing_about_the_inside(monkeypatch: pytest.MonkeyPatch) -> None:
    """500 with the members that providers want, and no more."""
    stage = Stage(flag("a"))

    def fail(token: str) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(stage.keys, "principal", fail)
    reply = await stage.evaluate("a")

    assert reply.status_code == 500
    assert (reply.json()["key"], reply.json()["errorCode"]) == ("a", "GENERAL")
    assert "secret" not in reply.text


async def test_other_methods_are_not_allowed() -> None:
    """405 names those that are."""
    async with Stage(flag("a")).client() as client:
        for method in ("GET", "PUT", "DELETE", "PATCH", "HEAD"):
            reply = await client.request(method, PATH)
            assert (reply.status_code, reply.headers["allow"]) == (405, "OPTIONS, POST")


async def test_outage_after_the_first_load_is_not_noticed() -> None:
    """Evaluation never touches the store."""
    stage = Stage(flag("a"))
    await stage.evaluate("a")
    looks = stage.source.looks
    stage.source.is_down = True

    replies = [await stage.evaluate("a", {"n": number}) for number in range(20)]

    assert {reply.status_code for reply in replies} == {200}
    assert stage.source.looks == looks


async def test_change_is_served_after_the_refresh() -> None:
    """No answer of an earlier revision is left over."""
    stage = Stage(flag("a"), valued("b", "integer", 1))
    await stage.evaluate("a")
    await stage.evaluate("b")
    stage.site.put(flag("a", enabled=False), valued("b", "integer", 2))

    await stage.delivery.refresh()

    assert (await stage.evaluate("a")).json()["reason"] == "DISABLED"
    assert orjson.loads((await stage.evaluate("b")).content)["value"] == 2
