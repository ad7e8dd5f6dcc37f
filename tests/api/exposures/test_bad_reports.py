"""Batches that are too large, packed to burst, or wrong: a 4xx that says why, and nothing stored."""

import gzip
import secrets
from typing import Any

import orjson
import pytest
from tests.api.exposures.batches import INSTANCE, PACKED, PATH, batch, count, event, exposure, packed
from tests.api.exposures.conftest import Application, stored

from greenroom_server.exposures.reading import MAX_RATIO, MAX_UNPACKED_BYTES, MAX_WIRE_BYTES
from greenroom_server.exposures.wire import MAX_ROWS

pytestmark = pytest.mark.asyncio(loop_scope="session")
MIB = 1024 * 1024


def padded(size: int) -> bytes:
    """A good batch of this many bytes, spaces behind it."""
    document = orjson.dumps(batch())
    return document + b" " * (size - len(document))


async def sent(application: Application, content: bytes, *, is_packed: bool = False) -> tuple[int, dict[str, Any]]:
    headers = PACKED if is_packed else {"Content-Type": "application/json"}
    reply = await application.client.post(PATH, content=content, headers=headers)
    return reply.status_code, reply.json()


async def test_wire_bytes_have_a_limit(application: Application) -> None:
    """2 MiB are read, and one byte more is not."""
    assert (await sent(application, padded(MAX_WIRE_BYTES)))[0] == 202
    status, problem = await sent(application, padded(MAX_WIRE_BYTES + 1))
    assert (status, problem["limit"], problem["maximum"]) == (413, "body_bytes", MAX_WIRE_BYTES)


async def test_unpacked_bytes_have_a_limit(application: Application) -> None:
    """8 MiB unpacked are read, and one byte more is not."""
    assert (await sent(application, _hard_to_pack(MAX_UNPACKED_BYTES), is_packed=True))[0] == 202
    status, problem = await sent(application, _hard_to_pack(MAX_UNPACKED_BYTES + 1), is_packed=True)
    assert (status, problem["limit"], problem["maximum"]) == (413, "unpacked_bytes", MAX_UNPACKED_BYTES)


def _hard_to_pack(size: int) -> bytes:
    """Rows with ids that are all different, and spaces up to `size`."""
    rows = [exposure(secrets.token_hex(40)) for _ in range(8_000)]
    document = orjson.dumps(batch(exposures=rows))
    return gzip.compress(document + b" " * (size - len(document)))


async def test_a_bomb_does_not_burst(application: Application) -> None:
    """What unpacks to more than 20 times its size is refused once it is past 1 MiB, and read below."""
    assert (await sent(application, gzip.compress(padded(MIB)), is_packed=True))[0] == 202
    status, problem = await sent(application, gzip.compress(padded(MIB + MIB // 2)), is_packed=True)
    assert (status, problem["limit"], problem["maximum"]) == (413, "packing_ratio", MAX_RATIO)
    status, problem = await sent(application, gzip.compress(bytes(64 * MIB)), is_packed=True)
    assert (status, problem["limit"]) == (413, "packing_ratio")


@pytest.mark.parametrize(
    "content",
    [b"not gzip", packed(batch())[:-9], packed(batch()) + b"more"],
    ids=["not gzip", "cut", "more behind it"],
)
async def test_a_broken_packing_is_refused(application: Application, content: bytes) -> None:
    """Anything but one whole gzip member is a 400."""
    reply = await application.client.post(PATH, content=content, headers=PACKED)
    assert reply.status_code == 400


async def test_rows_have_a_limit(application: Application) -> None:
    """10,000 counts are taken, one more is not."""
    rows = [count(1, flag="many") for _ in range(MAX_ROWS + 1)]
    status, problem = await sent(application, packed(batch(counts=rows)), is_packed=True)
    assert (status, problem["limit"], problem["maximum"]) == (400, "counts.items", MAX_ROWS)
    status, receipt = await sent(application, packed(batch(counts=rows[:-1])), is_packed=True)
    assert (status, receipt["accepted"]) == (202, MAX_ROWS)


@pytest.mark.parametrize(
    ("wrong", "pointer"),
    [
        (exposure(id="018f0000-0000-4000-8000-000000000000"), "/exposures/0/id"),
        (exposure(targeting_key=""), "/exposures/0/targeting_key"),
        (exposure(targeting_key="x" * 1001), "/exposures/0/targeting_key"),
        (exposure(email="a@shop.example"), "/exposures/0/email"),
        ({**exposure(), "at": 1}, "/exposures/0/at"),
        ({**exposure(), "at": "2026-11-23T05:00:00"}, "/exposures/0/at"),
    ],
)
async def test_a_wrong_row_is_named(application: Application, wrong: dict[str, Any], pointer: str) -> None:
    """The problem points to the member, and the good rows of the batch are not stored either."""
    good = exposure()
    status, problem = await sent(application, orjson.dumps(batch(exposures=[wrong, good])))
    assert (status, problem["errors"][0]["pointer"]) == (400, pointer)
    assert await stored(application.url, "exposure", [good["id"]]) == []


@pytest.mark.parametrize("index", [0, 249, 250, 999, 1000])
async def test_a_wrong_row_among_many_is_named_and_nothing_is_stored(application: Application, index: int) -> None:
    """Though rows are checked a few hundred at a time; all that is wrong is named, of every list."""
    rows = [exposure(f"user-{number}", flag="many-wrong") for number in range(1001)]
    rows[index]["variant"] = ""
    counts = [count(1), {**count(1), "count": 0}]

    status, problem = await sent(application, packed(batch(exposures=rows, counts=counts)), is_packed=True)

    assert status == 400
    assert [error["pointer"] for error in problem["errors"]] == ["/counts/1/count", f"/exposures/{index}/variant"]
    assert await stored(application.url, "exposure", [row["id"] for row in rows]) == []


async def test_many_rows_of_every_kind_are_stored(application: Application) -> None:
    """In their order, whatever the size of a step."""
    exposures = [exposure(f"user-{number}", flag="many-rows") for number in range(1001)]
    counts = [count(1, flag="many-rows") for _ in range(251)]
    events = [event("many-rows", f"user-{number}") for number in range(500)]

    status, receipt = await sent(
        application, packed(batch(exposures=exposures, counts=counts, events=events)), is_packed=True
    )

    assert (status, receipt) == (202, {"accepted": 1752, "ignored": 0})
    assert len(await stored(application.url, "exposure", [row["id"] for row in exposures])) == 1001
    assert len(await stored(application.url, "outcome", [row["id"] for row in events])) == 500


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b'{"instance":%b,"dropped":0,"dropped":1}' % orjson.dumps(INSTANCE),
        b'{"instance":%b,"dropped":NaN}' % orjson.dumps(INSTANCE),
        b'{"instance":{"id":"a\\u0000","sdk":"x","sdk_version":"1"}}',
        b"[" * 5_000,
        b'{"instance":' * 200 + b"1" + b"}" * 200,
    ],
    ids=["nothing", "cut", "a list", "twice", "NaN", "NUL", "deep", "nested"],
)
async def test_what_is_no_strict_json_is_refused(application: Application, content: bytes) -> None:
    """Duplicate keys, NaN, NUL and absurd depth are a 400."""
    reply = await application.client.post(PATH, content=content, headers={"Content-Type": "application/json"})
    assert reply.status_code == 400, reply.text


async def test_other_encodings_are_not_read(application: Application) -> None:
    """Only gzip is."""
    headers = {"Content-Type": "application/json", "Content-Encoding": "br"}
    assert (await application.client.post(PATH, content=b"{}", headers=headers)).status_code == 415


@pytest.mark.parametrize("at", ["2026-02-30T00:00:00Z", "2026-11-23T25:00:00Z", "0001-01-01T00:00:00+14:00"])
async def test_a_day_that_is_not_in_the_calendar_is_refused(application: Application, at: str) -> None:
    """What looks like a moment and is none is named."""
    status, problem = await sent(application, orjson.dumps(batch(counts=[{**count(1), "minute": at}])))
    assert (status, problem["errors"][0]["pointer"]) == (400, "/counts/0/minute")


async def test_escapes_are_read_exactly(application: Application) -> None:
    """A batch with a backslash takes the slower way, to the same end."""
    one = exposure('quo"ted: yes')
    assert (await sent(application, orjson.dumps(batch(exposures=[one]))))[1] == {"accepted": 1, "ignored": 0}
    (row,) = await stored(application.url, "exposure", [one["id"]])
    assert row["targeting_key"] == 'quo"ted: yes'
