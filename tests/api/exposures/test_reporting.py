"""What is reported is stored once, however and wherever it is sent, and only what belongs there."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.api.conftest import serving
from tests.api.contract.client import ContractClient
from tests.api.exposures.batches import PACKED, PATH, batch, count, days_ago, event, exposure, packed
from tests.api.exposures.conftest import Application, rows_of, stored

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def counted(url: str, flag: str) -> int:
    """The sum of a flag's counts."""
    (row,) = await rows_of(
        url, "SELECT coalesce(sum(count), 0) AS sum FROM exposure_count WHERE flag = :flag", flag=flag
    )
    return int(row["sum"])


async def test_everything_of_a_batch_is_stored(application: Application) -> None:
    """After 202 the exposure, the event and the count can be read from the store."""
    seen, done, number = exposure(), event("order placed", value=12.5), count(7, flag="counted-once")
    receipt = await application.reports(exposures=[seen], events=[done], counts=[number])

    assert receipt == {"accepted": 3, "ignored": 0}
    (row,) = await stored(application.url, "exposure", [seen["id"]])
    assert (row["flag"], row["variant"], row["targeting_key"]) == ("new-checkout", "on", "user-1")
    (row,) = await stored(application.url, "outcome", [done["id"]])
    assert (row["name"], row["value"]) == ("order placed", 12.5)
    assert await counted(application.url, "counted-once") == 7


async def test_a_batch_that_is_sent_again_counts_once(application: Application) -> None:
    """The same ids again, alone or among new ones, add nothing."""
    first, second = exposure(), exposure("user-2")
    number = count(5, flag="sent-again")
    await application.reports(exposures=[first], counts=[number])
    await application.reports(exposures=[first], counts=[number])
    await application.reports(exposures=[first, second], counts=[number, count(2, flag="sent-again")])

    assert len(await stored(application.url, "exposure", [first["id"], second["id"]])) == 2
    assert await counted(application.url, "sent-again") == 7


async def test_one_id_twice_in_a_batch_counts_once(application: Application) -> None:
    """A client that repeats itself within one batch is understood."""
    one, number = exposure(), count(3, flag="stutter")
    await application.reports(exposures=[one, one], counts=[number, number])

    assert len(await stored(application.url, "exposure", [one["id"]])) == 1
    assert await counted(application.url, "stutter") == 3


async def test_two_servers_take_the_same_batch_once(application: Application, tmp_path: Path) -> None:
    """The same batches sent to two servers at once are stored once."""
    batches = [batch(exposures=[exposure(str(n))], counts=[count(1, flag="two-servers")]) for n in range(20)]
    async for other in serving(application.url, tmp_path):
        headers = {"Authorization": application.client.headers["Authorization"]}
        async with ContractClient(other, headers=headers) as second:
            clients = (application.client, second)
            replies = await asyncio.gather(*(one.post(PATH, json=body) for body in batches for one in clients))

    assert {reply.status_code for reply in replies} == {202}
    ids = [body["exposures"][0]["id"] for body in batches]
    assert len(await stored(application.url, "exposure", ids)) == 20
    assert await counted(application.url, "two-servers") == 20


async def test_counts_of_instances_add_up(application: Application) -> None:
    """A minute's counts of all instances are one row for each variant and reason."""
    minute = datetime.now(UTC)
    for instance in ("web-1", "web-2"):
        counts = [count(4, flag="rolled-up", minute=minute), count(1, flag="rolled-up", minute=minute, variant=None)]
        await application.reports(instance=instance, counts=counts)

    rows = await rows_of(
        application.url, "SELECT variant, count FROM exposure_count WHERE flag = 'rolled-up' ORDER BY 1"
    )
    assert rows == [{"variant": "", "count": 2}, {"variant": "on", "count": 8}]


async def test_a_packed_batch_is_read(application: Application) -> None:
    """`Content-Encoding: gzip` is understood."""
    one = exposure()
    reply = await application.client.post(PATH, content=packed(batch(exposures=[one])), headers=PACKED)
    assert (reply.status_code, reply.json()) == (202, {"accepted": 1, "ignored": 0})
    assert len(await stored(application.url, "exposure", [one["id"]])) == 1


async def test_flags_that_nobody_knows_are_counted(application: Application) -> None:
    """A server key may report a flag that is not there."""
    assert await application.reports(counts=[count(1, flag="never-was")]) == {"accepted": 1, "ignored": 0}


async def test_client_keys_report_only_what_they_may_see(browser: Application) -> None:
    """Flags that are hidden from client keys and flags that are not there are passed over alike."""
    seen = exposure(flag="new-checkout")
    rows = [seen, exposure(flag="express-delivery"), exposure(flag="never-was")]
    assert await browser.reports(exposures=rows) == {"accepted": 1, "ignored": 2}
    assert len(await stored(browser.url, "exposure", [row["id"] for row in rows])) == 1


async def test_client_keys_make_no_instances(browser: Application) -> None:
    """A browser is no instance: anybody could make as many as they like."""
    await browser.reports(instance="a-browser", exposures=[exposure()])
    assert await rows_of(browser.url, "SELECT id FROM sdk_instance WHERE id = 'a-browser'") == []


async def test_what_is_too_old_or_ahead_is_passed_over(application: Application) -> None:
    """Ids within the retention, and up to a day ahead, are stored; others are counted as ignored."""
    rows = [exposure(at=days_ago(days)) for days in (29.5, 31.5, -0.9, -2.1)]
    assert await application.reports(exposures=rows) == {"accepted": 2, "ignored": 2}
    ids = {str(row["id"]) for row in await stored(application.url, "exposure", [row["id"] for row in rows])}
    assert ids == {rows[0]["id"], rows[2]["id"]}


async def test_an_instance_is_what_it_said_last(application: Application) -> None:
    """The newest report of an instance describes it; `reached_at` moves with the revision only."""
    first = {"id": "known", "sdk": "greenroom-python", "sdk_version": "0.1.0", "revision": 3, "epoch": "e"}
    for labels in ({"build": "sha256:1"}, {"build": "sha256:2"}, {"build": "sha256:2", "revision": 4}):
        reply = await application.client.post(PATH, json={"instance": {**first, **labels}, "dropped": 2})
        assert reply.status_code == 202
    query = "SELECT build, revision, dropped, reached_at > first_seen AS moved FROM sdk_instance WHERE id = 'known'"
    assert await rows_of(application.url, query) == [{"build": "sha256:2", "revision": 4, "dropped": 2, "moved": True}]


async def test_days_are_dropped_with_their_retention(application: Application, tmp_path: Path) -> None:
    """A server that keeps two days drops the partitions of older ones, and rows can come again to the others."""
    old, young = exposure(at=days_ago(10)), exposure()
    await application.reports(exposures=[old, young])
    async for _ in serving(application.url, tmp_path, exposure_retention_days=2):
        async with asyncio.timeout(10):
            while await stored(application.url, "exposure", [old["id"]]):  # noqa: ASYNC110  another server drops it
                await asyncio.sleep(0.05)

    assert len(await stored(application.url, "exposure", [young["id"]])) == 1
    assert await application.reports(exposures=[exposure(at=days_ago(10))]) == {"accepted": 1, "ignored": 0}


async def test_partitions_are_made_ahead(application: Application) -> None:
    """Today's and tomorrow's partitions are there before anybody needs them."""
    wanted = {f"exposure_p{datetime.now(UTC) + timedelta(days=ahead):%Y%m%d}" for ahead in (0, 1)}
    async with asyncio.timeout(10):
        while True:
            rows = await rows_of(application.url, "SELECT relname::text AS name FROM pg_class WHERE relkind = 'r'")
            if wanted <= {row["name"] for row in rows}:
                break
            await asyncio.sleep(0.05)


async def test_reporting_announces_and_audits_nothing(application: Application) -> None:
    """Exposures take neither NOTIFY's lock nor the audit log's."""
    before = await rows_of(application.url, "SELECT count(*) FROM audit_event")
    await application.reports(exposures=[exposure()], counts=[count(1)])
    assert await rows_of(application.url, "SELECT count(*) FROM audit_event") == before
