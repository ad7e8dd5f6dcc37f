"""`Idempotency-Key`: one effect and one answer, however often a request comes."""

import asyncio
from typing import Any

import pytest
from tests.unit.web.rig import Rig, until

from greenroom_server.errors import Conflict, Unavailable
from greenroom_server.web.routing import Call, Reply, Route

pytestmark = pytest.mark.asyncio


async def create(call: Call) -> Reply:
    call.session.append(call.json())
    return Reply(201, {"number": call.json()}, location="/things/1", etag='"1"')


def creating(handler: Any = create) -> Route:
    return Route("POST", "/things", "create_thing", "thing.write", handler, idempotent=True, query=("q",))


def keyed(key: str) -> dict[str, str]:
    return {"Idempotency-Key": key}


async def test_repeated_request_gets_the_first_answer() -> None:
    """The effect happens once; the replay has status, body and headers of the original and says that it is one."""
    rig = Rig()
    async with rig.client(creating()) as client:
        first = await client.post("/things", json=1, headers=keyed("k"))
        again = await client.post("/things", json=1, headers=keyed("k"))

    assert rig.ledger.kept == [1]
    assert (again.status_code, again.content) == (first.status_code, first.content)
    assert (again.headers["location"], again.headers["etag"]) == ("/things/1", '"1"')
    assert (first.headers.get("idempotency-replayed"), again.headers["idempotency-replayed"]) == (None, "true")


@pytest.mark.parametrize(("path", "body"), [("/things", 2), ("/things?q=1", 1)])
async def test_key_used_for_another_request_is_422(path: str, body: int) -> None:
    """Body and query are part of what was asked."""
    rig = Rig()
    async with rig.client(creating()) as client:
        await client.post("/things", json=1, headers=keyed("k"))
        reply = await client.post(path, json=body, headers=keyed("k"))

    assert (reply.status_code, reply.json()["code"], rig.ledger.kept) == (422, "idempotency_mismatch", [1])


async def test_quoted_and_bare_keys_are_the_same() -> None:
    """The draft quotes the key, most clients don't."""
    rig = Rig()
    async with rig.client(creating()) as client:
        await client.post("/things", json=1, headers=keyed('"k"'))
        reply = await client.post("/things", json=1, headers=keyed("k"))

    assert reply.headers["idempotency-replayed"] == "true"


async def test_keys_belong_to_their_credential() -> None:
    """Somebody else's key of the same text is another key."""
    rig = Rig()
    async with rig.client(creating()) as client:
        await client.post("/things", json=1, headers=keyed("k"))
        rig.authorizer.holder = type(rig.authorizer)().holder
        await client.post("/things", json=1, headers=keyed("k"))

    assert rig.ledger.kept == [1, 1]


@pytest.mark.parametrize("key", ["", '""', "a b", "k" * 256, "k\x7f", "\xe9"])
async def test_malformed_key_is_refused(key: str) -> None:
    """A key is 1 to 255 visible ASCII characters."""
    rig = Rig()
    async with rig.client(creating()) as client:
        reply = await client.post("/things", json=1, headers=[(b"Idempotency-Key", key.encode("latin-1"))])

    assert (reply.status_code, reply.json()["errors"][0]["pointer"], rig.ledger.kept) == (400, "Idempotency-Key", [])


async def test_longest_key_is_taken() -> None:
    """255 characters are fine."""
    async with Rig().client(creating()) as client:
        reply = await client.post("/things", json=1, headers=keyed("k" * 255))

    assert reply.status_code == 201


async def test_request_without_key_is_carried_out_each_time() -> None:
    """The header is optional."""
    rig = Rig()
    async with rig.client(creating()) as client:
        await client.post("/things", json=1)
        await client.post("/things", json=1)

    assert rig.ledger.kept == [1, 1]


async def test_dry_run_neither_uses_nor_keeps_the_key() -> None:
    """After a dry run the same key still does the real thing."""
    rig = Rig()
    async with rig.client(creating()) as client:
        await client.post("/things?dry_run=true", json=1, headers=keyed("k"))
        reply = await client.post("/things", json=1, headers=keyed("k"))

    assert ("idempotency-replayed" in reply.headers, rig.ledger.kept) == (False, [1])


@pytest.mark.parametrize("error", [Unavailable(), RuntimeError(), Conflict()])
async def test_failure_is_not_remembered(error: Exception) -> None:
    """What had no effect may be tried again under the same key."""
    rig, failures = Rig(), [error]

    async def fail_once(call: Call) -> Reply:
        if failures:
            raise failures.pop()
        return await create(call)

    async with rig.client(creating(fail_once)) as client:
        first = await client.post("/things", json=1, headers=keyed("k"))
        again = await client.post("/things", json=1, headers=keyed("k"))

    assert first.status_code >= 400
    assert (again.status_code, rig.ledger.kept) == (201, [1])


async def test_returned_5xx_is_not_remembered() -> None:
    """A handler may also answer a 503 without raising."""
    rig = Rig()

    async def answer_503(call: Call) -> Reply:
        return Reply(503, {})

    async with rig.client(creating(answer_503)) as client:
        await client.post("/things", json=1, headers=keyed("k"))

    assert rig.idempotency.replies == {}


async def test_concurrent_duplicates_have_one_effect() -> None:
    """Both began before either committed: one is carried out, the other gets its answer."""
    rig, go_on = Rig(), asyncio.Event()

    async def create_slowly(call: Call) -> Reply:
        await go_on.wait()
        return await create(call)

    async with rig.client(creating(create_slowly)) as client:
        both = [asyncio.create_task(client.post("/things", json=1, headers=keyed("k"))) for _ in range(2)]
        await until(lambda: len(rig.ledger.opened) == 2)
        go_on.set()
        replies = await asyncio.gather(*both)

    assert rig.ledger.kept == [1]
    assert [reply.status_code for reply in replies] == [201, 201]
    assert [reply.headers.get("idempotency-replayed") for reply in replies].count("true") == 1


async def test_running_into_the_twins_effect_gives_the_twins_answer() -> None:
    """The twin committed meanwhile, so the thing exists: that is not the client's mistake."""
    rig = Rig()

    async def create_unique(call: Call) -> Reply:
        if not rig.ledger.kept:
            rig.ledger.kept.append("the twin's")
            await twin(call)
            raise Conflict("it exists already")
        return await create(call)

    async def twin(call: Call) -> None:
        headers = {**keyed("k"), "Authorization": "Bearer good"}
        await client.post("/things", json=1, headers=headers)

    async with rig.client(creating(create_unique)) as client:
        reply = await client.post("/things", json=1, headers=keyed("k"))

    assert (reply.status_code, reply.headers["idempotency-replayed"]) == (201, "true")


async def test_secret_is_shown_once() -> None:
    """A replay says what the handler chose instead of the secret, which is never stored."""
    rig = Rig()

    async def create_token(call: Call) -> Reply:
        return Reply(201, {"id": 1, "token": "gr_adm_secret"}, replay_body={})

    async with rig.client(creating(create_token)) as client:
        first = await client.post("/things", headers=keyed("k"))
        again = await client.post("/things", headers=keyed("k"))

    assert (first.json()["token"], again.json()) == ("gr_adm_secret", {})
    assert all(b"gr_adm_secret" not in reply.body for reply in rig.idempotency.replies.values())
