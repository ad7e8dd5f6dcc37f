"""`GET /api/v1/sdk/snapshot`: prepared bytes, in the coding that the client likes, and 304."""

import gzip

import orjson
import pytest
import zstandard
from tests.unit.delivery.rig import Stage, flag

from greenroom.evaluation import read_snapshot, verify_seal
from greenroom_server.delivery.snapshots import preferred_coding

PATH = "/api/v1/sdk/snapshot"


@pytest.mark.asyncio
async def test_snapshot_is_sealed_and_readable() -> None:
    """The engine reads exactly what was sent."""
    reply = await Stage(flag("a"), flag("b")).snapshot()

    assert reply.status_code == 200
    assert reply.headers["content-type"] == "application/json"
    assert verify_seal(reply.content)
    snapshot = read_snapshot(orjson.loads(reply.content))
    assert set(snapshot.flags) == {"a", "b"}
    assert reply.headers["etag"] == f'"{snapshot.epoch}.{snapshot.revision}"'
    assert reply.headers["cache-control"] == "private, no-cache"
    assert reply.headers["vary"] == "Authorization, X-API-Key, Accept-Encoding"


@pytest.mark.asyncio
async def test_known_snapshot_is_not_sent_again() -> None:
    """304 repeats ETag, Cache-Control and Vary; after a change it is 200 again."""
    stage = Stage(flag("a"))
    etag = (await stage.snapshot()).headers["etag"]

    for spelling in (etag, f"W/{etag}", f'"x", {etag}', "*", etag[:-1] + '-gzip"'):
        reply = await stage.snapshot(if_none_match=spelling)
        assert (reply.status_code, reply.content) == (304, b"")
        assert reply.headers["etag"] == etag
        assert "Accept-Encoding" in reply.headers["vary"]
        assert reply.headers["cache-control"] == "private, no-cache"
    for spelling in ('"other"', etag.strip('"'), ""):
        assert (await stage.snapshot(if_none_match=spelling)).status_code == 200
    stage.site.put(flag("b"))
    await stage.delivery.refresh()
    assert (await stage.snapshot(if_none_match=etag)).status_code == 200


@pytest.mark.asyncio
@pytest.mark.parametrize("coding", ["identity", "gzip", "zstd"])
async def test_every_coding_holds_the_same_document(coding: str) -> None:
    """Decoded, the bytes are the same; encoded, they are those prepared for the revision."""
    stage = Stage(*(flag(f"flag-{number}") for number in range(50)))
    async with (
        stage.client(Accept_Encoding=coding) as client,
        client.stream("GET", PATH, headers={"accept-encoding": coding}) as reply,
    ):
        raw = b"".join([chunk async for chunk in reply.aiter_raw()])

    assert reply.headers.get("content-encoding", "identity") == coding
    assert int(reply.headers["content-length"]) == len(raw)
    decoded = {"identity": bytes, "gzip": gzip.decompress, "zstd": zstandard.decompress}[coding](raw)  # type: ignore[operator]
    assert decoded == (await stage.snapshot(accept_encoding="identity")).content


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [
        ("zstd", "zstd"),
        ("gzip, deflate, br, zstd", "zstd"),
        ("gzip;q=1.0, zstd;q=0.5", "gzip"),
        ("GZIP", "gzip"),
        ("gzip;q=0", "identity"),
        ("gzip;q=0, *;q=0.1", "zstd"),
        ("*", "zstd"),
        ("br", "identity"),
        ("", "identity"),
        ("identity", "identity"),
        ("identity;q=1, gzip;q=0.5", "identity"),
        ("identity;q=0, *;q=0", "identity"),
        ("gzip ; q = 0.001", "gzip"),
        ("gzip;q=nonsense", "gzip"),
        (",,;;q=,", "identity"),
    ],
)
def test_coding_is_the_one_the_client_likes_best(accepted: str, coding: str) -> None:
    """By q-values; for equal ones zstd before gzip before nothing."""
    assert preferred_coding(accepted) == coding


@pytest.mark.asyncio
async def test_head_is_get_without_the_body() -> None:
    """The same head, length included."""
    stage = Stage(flag("a"))
    async with stage.client() as client:
        head, get = await client.head(PATH), await client.get(PATH)

    assert head.content == b""
    assert head.headers == get.headers


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("token", "status"), [("server", 200), ("client", 403), ("admin", 403), ("nobody", 401), (None, 401)]
)
async def test_only_server_keys_may_read_it(token: str | None, status: int) -> None:
    """A client key never sees a rule."""
    reply = await Stage(flag("a")).snapshot(token=token)

    assert reply.status_code == status
    if status != 200:
        assert reply.headers["content-type"] == "application/problem+json"


@pytest.mark.asyncio
async def test_other_methods_are_not_allowed() -> None:
    """405 names those that are."""
    async with Stage(flag("a")).client() as client:
        for method in ("POST", "PUT", "DELETE", "OPTIONS"):
            reply = await client.request(method, PATH)
            assert (reply.status_code, reply.headers["allow"]) == (405, "GET, HEAD")


@pytest.mark.asyncio
async def test_bytes_are_prepared_once_per_revision() -> None:
    """Every request gets the very same objects."""
    stage = Stage(flag("a"))
    await stage.snapshot()
    live = await stage.delivery.environments.get(stage.environment_id)
    before = live.served.encodings

    for coding in ("gzip", "zstd", "identity"):
        await stage.snapshot(accept_encoding=coding)
    made = {coding: before.find(coding) for coding in ("gzip", "zstd", "identity")}
    for coding in made:
        await stage.snapshot(accept_encoding=coding)

    assert live.served.encodings is before
    assert None not in made.values()
    assert all(before.find(coding) is body for coding, body in made.items())
