"""`POST /ofrep/v1/evaluate/flags`: all flags for one context, with an ETag that covers exactly that."""

from typing import Any

import httpx
import pytest
from tests.unit.delivery.rig import Stage, flag, rule, valued

from greenroom_server.delivery.tickets import BUCKET_S

pytestmark = pytest.mark.asyncio

SPLIT = {"split": [{"variant": "on", "weight": 50_000}, {"variant": "off", "weight": 50_000}]}
TIMED = {"attribute": "since", "op": "before", "values": ["now-30d"]}


async def test_all_flags_in_the_order_of_their_keys() -> None:
    """Whatever the order of the document."""
    stage = Stage(flag("b"), flag("c", enabled=False), flag("a"))

    body = (await stage.evaluate_all()).json()

    assert [item["key"] for item in body["flags"]] == ["a", "b", "c"]
    assert body["metadata"] == {"flagSetId": "shop/production", "revision": 1}


async def test_items_are_those_of_the_single_endpoint() -> None:
    """Byte for byte, so that clients may mix them."""
    stage = Stage(flag("a", rules=[rule("off", "plan", "pro")]), valued("b", "float", 1.0))
    single = b",".join([(await stage.evaluate(key, {"plan": "pro"})).content for key in ("a", "b")])

    bulk = await stage.evaluate_all({"plan": "pro"})

    assert bulk.content.startswith(b'{"flags":[' + single + b"],")


async def test_flag_that_fails_does_not_fail_the_call() -> None:
    """Its item is a failure."""
    stage = Stage(flag("a", fallthrough=SPLIT), flag("b"))

    reply = await stage.evaluate_all()

    assert reply.status_code == 200
    failed, good = reply.json()["flags"]
    assert (failed["key"], failed["errorCode"]) == ("a", "TARGETING_KEY_MISSING")
    assert failed["errorDetails"]
    assert good["value"] is True


async def test_no_flags_is_an_empty_list() -> None:
    """And not an error."""
    assert (await Stage().evaluate_all()).json()["flags"] == []


async def test_known_answer_is_not_sent_again() -> None:
    """304 without a body, to the same context only."""
    stage = Stage(flag("a"))
    etag = (await stage.evaluate_all({"targetingKey": "u"})).headers["etag"]

    for spelling in (etag, f"W/{etag}", f'"other", {etag}', "*"):
        again = await stage.evaluate_all({"targetingKey": "u"}, if_none_match=spelling)
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == etag
    assert (await stage.evaluate_all({"targetingKey": "v"}, if_none_match=etag)).status_code == 200


async def test_order_of_members_does_not_matter_to_the_tag() -> None:
    """The same context in other words is the same context."""
    stage = Stage(flag("a"))
    first = await stage.evaluate_all({"a": 1, "b": {"c": 2, "d": 3}})
    second = await stage.evaluate_all({"b": {"d": 3, "c": 2}, "a": 1})

    assert first.headers["etag"] == second.headers["etag"]


async def test_no_two_contexts_share_a_tag() -> None:
    """Not even contexts that look alike."""
    stage = Stage(flag("a"))
    contexts: list[Any] = [{}, {"a": 1}, {"a": 1.0}, {"a": "1"}, {"a": True}, {"a": None}, {"a": [1]}, {"a": {"b": 1}}]

    tags = {(await stage.evaluate_all(context)).headers["etag"] for context in contexts}

    assert len(tags) == len(contexts)


@pytest.mark.parametrize("when", [{}, {"when": TIMED}], ids=["timeless", "timed"])
async def test_no_two_keys_share_a_tag(when: dict[str, Any]) -> None:
    """Nor do two environments, whether the tag comes from the context or from the answer."""
    rules = [rule("off", "id", 1) | when]
    stage = Stage(flag("a", client_visible=True, rules=rules))
    other_id, _ = stage.source.add("shop", "production", flag("a", client_visible=True, rules=rules))
    stage.keys.add("other-environment", "server", other_id)
    stage.keys.add("other-key", "server", stage.environment_id)

    tokens = ("server", "client", "other-environment", "other-key")
    tags = {(await stage.evaluate_all(token=token)).headers["etag"] for token in tokens}

    assert len(tags) == len(tokens)


async def test_tag_follows_the_clock_where_results_do() -> None:
    """A rule that time alone makes true changes the tag when it does."""
    stage = Stage(flag("a", rules=[rule("off", "x") | {"when": TIMED}]))
    context = {"since": "2026-11-01T00:00:00Z"}
    before = await stage.evaluate_all(context)
    stage.clock.move(minutes=1)
    again = await stage.evaluate_all(context, if_none_match=before.headers["etag"])

    stage.clock.move(days=20)
    after = await stage.evaluate_all(context, if_none_match=before.headers["etag"])

    assert again.status_code == 304
    assert after.status_code == 200
    assert after.json()["flags"][0]["value"] is False


async def test_items_do_not_carry_the_revision() -> None:
    """Clients compare items: one flag's change must not look like a change of all."""
    stage = Stage(flag("a"), flag("b"))
    before = (await stage.evaluate_all()).json()
    stage.site.put(flag("b", enabled=False, version=2))
    await stage.delivery.refresh()

    after = (await stage.evaluate_all()).json()

    assert after["flags"][0] == before["flags"][0]
    assert after["flags"][1] != before["flags"][1]
    assert after["metadata"]["revision"] == 2


@pytest.mark.parametrize("body", [b"{}", b'{"context":{}}'])
async def test_request_without_context_is_answered(body: bytes) -> None:
    """Real providers send these."""
    async with Stage(flag("a")).client() as client:
        reply = await client.post("/ofrep/v1/evaluate/flags", content=body)

    assert reply.status_code == 200


@pytest.mark.parametrize(("body", "code"), [(b"{", "PARSE_ERROR"), (b"[]", "INVALID_CONTEXT")])
async def test_bad_request_has_no_key(body: bytes, code: str) -> None:
    """A bulk error is about no flag in particular."""
    async with Stage(flag("a")).client() as client:
        reply = await client.post("/ofrep/v1/evaluate/flags", content=body)

    assert reply.status_code == 400
    assert reply.json()["errorCode"] == code
    assert "key" not in reply.json()


async def test_stream_is_announced_with_a_token() -> None:
    """Exactly one of `url` and `endpoint`; the same bytes for the hour."""
    stage = Stage(flag("a"))

    first = await stage.evaluate_all()
    stage.clock.move(minutes=50)
    second = await stage.evaluate_all(if_none_match=first.headers["etag"])

    (stream,) = first.json()["eventStreams"]
    assert stream["type"] == "sse"
    assert stream["inactivityDelaySec"] >= 1
    assert stream["endpoint"]["requestUri"].startswith("/ofrep/v1/stream?token=")
    assert "url" not in stream
    assert second.status_code == 304


async def test_next_hour_brings_the_next_stream_url() -> None:
    """A 304 would leave the client with a URL that is about to end."""
    stage = Stage(flag("a"))
    first = await stage.evaluate_all()
    stage.clock.move(seconds=BUCKET_S)

    second = await stage.evaluate_all(if_none_match=first.headers["etag"])

    assert second.status_code == 200
    assert second.json()["flags"] == first.json()["flags"]
    assert second.json()["eventStreams"] != first.json()["eventStreams"]


async def test_public_url_makes_the_stream_url_absolute() -> None:
    """For a server that a proxy puts under a path of its own."""
    stage = Stage(flag("a"), public_url="https://flags.example/green%20room/")

    (stream,) = (await stage.evaluate_all()).json()["eventStreams"]

    assert stream["url"].startswith("https://flags.example/green%20room/ofrep/v1/stream?token=")
    assert "endpoint" not in stream


async def test_refetch_waits_for_the_announced_configuration() -> None:
    """The event came from a server that is ahead of this one: look at the store first."""
    stage = Stage(flag("a", client_visible=True))
    ahead = stage.another()
    await stage.evaluate_all()
    stage.site.put(flag("a", client_visible=True, enabled=False))
    live = await ahead.environments.get(stage.environment_id)

    for token, tag in (("server", live.served.server.tag), ("client", live.served.client.tag)):
        body = (await stage.evaluate_all(token=token, query=f"?flagConfigEtag={tag}")).json()
        assert body["flags"][0]["reason"] == "DISABLED", token


@pytest.mark.parametrize(
    "query",
    [
        "?flagConfigEtag=nonsense",
        "?flagConfigEtag=",
        "?flagConfigEtag=e.99999999999999999999999",
        "?flagConfigLastModified=1771622898",
        "?flagConfigLastModified=2026-02-20T21:28:18Z",
        "?anything=else",
        "?" + "&".join(f"a{number}=1" for number in range(100)) + "&flagConfigEtag=x",
    ],
)
async def test_queries_are_accepted(query: str) -> None:
    """What cannot be understood is not waited for."""
    reply: httpx.Response = await Stage(flag("a")).evaluate_all(query=query)

    assert reply.status_code == 200


async def test_outage_during_a_refetch_gives_what_is_there() -> None:
    """Waiting for a revision never turns into an error."""
    stage = Stage(flag("a"))
    await stage.evaluate_all()
    stage.source.is_down = True

    assert (await stage.evaluate_all(query="?flagConfigEtag=x.9")).status_code == 200
