"""`GET /ofrep/v1/stream`: what browsers are told, by a token in the URL, over real connections."""

from typing import Any

import pytest
from tests.api.delivery.streams_rig import Event, Server, running
from tests.unit.delivery.rig import Stage, flag, rule, segment

from greenroom_server.delivery.stream_kinds import RefetchSubscriber
from greenroom_server.delivery.tickets import BUCKET_S

pytestmark = pytest.mark.asyncio

VISIBLE = flag("seen", client_visible=True)


async def url_of(stage: Stage, token: str = "client") -> str:
    """The stream that a bulk evaluation announces."""
    (announced,) = (await stage.evaluate_all(token=token)).json()["eventStreams"]
    uri: str = announced["endpoint"]["requestUri"]
    return uri


async def greeted(stream: Any) -> Event:
    """The first real message, after the `retry` that every stream begins with."""
    hello = await stream.next()
    assert hello.retry is not None
    assert hello.data is None
    event = await stream.next()
    assert isinstance(event, Event)
    return event


async def first_id(server: Server, url: str) -> str:
    async with server.stream(url, token=None) as stream:
        event = await greeted(stream)
    assert event.id is not None
    return event.id


async def test_new_stream_asks_for_one_evaluation() -> None:
    """Something may have changed between the evaluation and the stream: a 304 is the price of knowing."""
    stage = Stage(VISIBLE)
    url = await url_of(stage)
    async with running(stage) as server, server.stream(url, token=None) as stream:
        event = await greeted(stream)

    assert stream.status == 200
    assert stream.headers["content-type"] == "text/event-stream"
    assert event.name == "message"
    assert event.data == {"type": "refetchEvaluation", "etag": event.id}


async def test_change_asks_for_an_evaluation_that_shows_it() -> None:
    """The message's etag leads to an answer that has the change."""
    stage = Stage(VISIBLE)
    url = await url_of(stage)
    async with running(stage) as server, server.stream(url, token=None) as stream:
        first = await greeted(stream)
        await server.publish(VISIBLE | {"enabled": False})
        event = await stream.next()

    assert event is not None
    assert event.data["type"] == "refetchEvaluation"
    assert event.data["etag"] != first.data["etag"]
    body = (await stage.evaluate_all(token="client", query=f"?flagConfigEtag={event.data['etag']}")).json()
    assert body["flags"][0]["reason"] == "DISABLED"


async def test_client_that_knows_the_newest_is_not_asked_again() -> None:
    """A browser that reconnects says what it saw last."""
    stage = Stage(VISIBLE)
    url = await url_of(stage)
    async with running(stage) as server:
        last = await first_id(server, url)
        async with server.stream(url, token=None, last_event_id=last) as stream:
            assert (await stream.next()).retry is not None  # type: ignore[union-attr]
            await server.publish(VISIBLE | {"enabled": False})
            event = await stream.next()

    assert event is not None
    assert event.id != last


async def test_missed_change_is_told_on_reconnection() -> None:
    """However long ago it was."""
    stage = Stage(VISIBLE)
    url = await url_of(stage)
    async with running(stage) as server:
        last = await first_id(server, url)
        await server.publish(VISIBLE | {"enabled": False})
        async with server.stream(url, token=None, last_event_id=last) as stream:
            event = await greeted(stream)

    assert event.id != last


async def test_hidden_changes_are_not_told_to_client_keys() -> None:
    """Neither that they happened nor how often: only what it may see moves its stream."""
    needed = flag("needed")
    seen = VISIBLE | {"prerequisites": [{"flag": "needed", "variants": ["on"]}]}
    seen |= {"rules": [rule("on", "x") | {"when": {"segment": "beta"}}]}
    stage = Stage(seen, needed)
    stage.site.segments["beta"] = segment("beta", "plan", "pro")
    url = await url_of(stage)
    async with running(stage) as server, server.stream(url, token=None) as stream:
        ids = [(await greeted(stream)).id]
        for visible_change in (
            {"flags": [needed | {"enabled": False}]},
            {"segments": [segment("beta", "plan", "free")]},
            {"flags": [seen | {"enabled": False}]},
            {"flags": [flag("new", client_visible=True)]},
            {"removed": ["new"]},
        ):
            await server.publish(flag("hidden", enabled=False), segments=[segment("other", "x")])
            await server.publish(flag("hidden"), flag("hidden-2"))
            await server.publish(*visible_change.pop("flags", ()), **visible_change)
            event = await stream.next()
            assert event is not None
            ids.append(event.id)

    # One message for each change that matters; removing what was just added leads back to a known state.
    assert len(ids) == 6
    assert len(set(ids)) == 5


async def test_hidden_changes_do_not_change_a_client_answer() -> None:
    """Not even its ETag, so that nobody can count them."""
    stage = Stage(VISIBLE, flag("hidden"))
    before = await stage.evaluate_all(token="client")
    stage.site.put(flag("hidden", enabled=False))
    await stage.delivery.refresh()

    after = await stage.evaluate_all(token="client", if_none_match=before.headers["etag"])
    whole = await stage.evaluate_all(token="client")

    assert after.status_code == 304
    assert whole.content == before.content


async def test_server_key_is_told_of_every_change() -> None:
    """It sees all flags."""
    stage = Stage(VISIBLE)
    url = await url_of(stage, "server")
    async with running(stage) as server, server.stream(url, token=None) as stream:
        await greeted(stream)
        await server.publish(flag("hidden"))
        event = await stream.next()

    live = await stage.delivery.environments.get(stage.environment_id)
    assert event is not None
    assert event.data["etag"] == live.served.server.tag


@pytest.mark.parametrize("query", ["", "?token=", "?token=nonsense", "?other=1", "?" + "a=1&" * 50])
async def test_stream_without_a_good_token_is_refused(query: str) -> None:
    """401, which makes the web provider evaluate again and take the new URL."""
    stage = Stage(VISIBLE)
    async with stage.client(None) as client:
        reply = await client.get(f"/ofrep/v1/stream{query}")

    assert reply.status_code == 401


async def test_credential_in_a_header_opens_no_browser_stream() -> None:
    """There is one way in."""
    async with Stage(VISIBLE).client("server") as client:
        assert (await client.get("/ofrep/v1/stream")).status_code == 401


async def test_altered_token_is_refused() -> None:
    """Any character of it."""
    stage = Stage(VISIBLE)
    url = await url_of(stage)
    async with stage.client(None) as client:
        for position in range(len(url) - 90, len(url) - 1, 7):
            altered = url[:position] + ("A" if url[position] != "A" else "B") + url[position + 1 :]
            assert (await client.get(altered)).status_code == 401


async def test_token_is_over_after_two_hours() -> None:
    """It opens nothing any more; a new evaluation brings another that does."""
    stage = Stage(VISIBLE)
    url = await url_of(stage)
    stage.clock.move(seconds=2 * BUCKET_S)
    async with stage.client(None) as client:
        assert (await client.get(url)).status_code == 401
        assert (await client.head(await url_of(stage))).status_code == 200


async def test_revoked_key_opens_no_stream_and_loses_those_it_has() -> None:
    """Its tokens fall with it."""
    stage = Stage(VISIBLE)
    url = await url_of(stage)
    async with running(stage) as server, server.stream(url, token=None) as stream:
        await greeted(stream)
        stage.keys.revoke("client")
        stage.delivery.hub.sweep()

        assert await stream.is_over()
        async with server.stream(url, token=None) as refused:
            assert refused.status == 401


async def test_browser_is_asked_for_a_new_url_before_the_token_ends() -> None:
    """One evaluation more, in time; the stream itself goes on."""
    stage = Stage(VISIBLE)
    url = await url_of(stage)
    async with running(stage) as server, server.stream(url, token=None) as stream:
        first = await greeted(stream)
        live = await stage.delivery.environments.get(stage.environment_id)
        (subscriber,) = live.subscribers
        assert isinstance(subscriber, RefetchSubscriber)
        early = subscriber.heartbeat()
        stage.clock.move(seconds=2 * BUCKET_S - 299)
        subscriber.has_heartbeat_due = True
        stage.delivery.hub.publish(live.subscribers)
        event = await stream.next()
        late = subscriber.heartbeat()

    assert early == late == (b": ping\n\n",)
    assert event is not None
    assert event.data == first.data
    assert await url_of(stage) != url


async def test_browser_past_the_cap_is_told_to_poll() -> None:
    """An error status would end native EventSource for good: 200, a pause, one evaluation, and the end."""
    stage = Stage(VISIBLE, stream_cap=1)
    url = await url_of(stage)
    async with running(stage) as server, server.stream(url, token=None) as first:
        await greeted(first)
        async with server.stream(url, token=None) as second:
            event = await second.next()
            over = await second.next()

    assert second.status == 200
    assert event is not None
    assert event.retry is not None
    assert event.retry >= 10_000
    assert event.data["type"] == "refetchEvaluation"
    assert over is None


async def test_shutdown_tells_browsers_when_to_come_back() -> None:
    """With `retry`, which they obey by themselves."""
    stage = Stage(VISIBLE)
    url = await url_of(stage)
    async with running(stage) as server, server.stream(url, token=None) as stream:
        await greeted(stream)
        await stage.delivery.say_goodbye()
        event = await stream.next()
        over = await stream.next()

    assert event is not None
    assert event.retry is not None
    assert event.data is None
    assert over is None
