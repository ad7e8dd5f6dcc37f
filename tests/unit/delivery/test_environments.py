"""The environments in memory: loaded once, moved forward only, and never made worse by anything that goes wrong."""

import asyncio
from pathlib import Path

import orjson
import pytest
from tests.unit.delivery.rig import Stage, flag, segment

from greenroom.evaluation import verify_seal
from greenroom_server.delivery.disk import DiskCopies
from greenroom_server.delivery.live import LiveEnvironment
from greenroom_server.errors import NotFound, Unavailable

pytestmark = pytest.mark.asyncio


async def loaded(stage: Stage) -> LiveEnvironment:
    return await stage.delivery.environments.get(stage.environment_id)


def is_on(live: LiveEnvironment, key: str = "a") -> bool:
    enabled: bool = orjson.loads(live.served.encodings.identity)["flags"][key]["enabled"]
    return enabled


async def test_first_use_loads_once_for_all() -> None:
    """A hundred first requests are one look at the store."""
    stage = Stage(flag("a"))

    found = await asyncio.gather(*(loaded(stage) for _ in range(100)))

    assert stage.source.loads == 1
    assert all(live is found[0] for live in found)


async def test_impatient_first_request_does_not_stop_the_others() -> None:
    """A client that goes away while the environment is loaded takes nobody down."""
    stage = Stage(flag("a"))
    impatient = asyncio.create_task(loaded(stage))
    patient = asyncio.create_task(loaded(stage))
    await asyncio.sleep(0)

    impatient.cancel()

    assert (await patient).served.revision == 1


async def test_first_use_without_store_and_copy_is_unavailable() -> None:
    """There is nothing to serve; and the next to ask do not hammer the store."""
    stage = Stage(flag("a"))
    stage.source.is_down = True

    for _ in range(5):
        with pytest.raises(Unavailable):
            await loaded(stage)

    assert stage.source.looks == 1


async def test_environment_that_is_gone_is_not_found() -> None:
    """A key may outlive its environment for a moment."""
    stage = Stage()
    stage.source.sites.clear()

    with pytest.raises(NotFound):
        await loaded(stage)


async def test_refresh_applies_the_change() -> None:
    """Only what changed is read, and the result is as if all had been read."""
    stage = Stage(flag("a"), flag("b"))
    live = await loaded(stage)
    stage.site.put(flag("a", enabled=False), segments=[segment("s", "plan", "pro")], removed=["b"])

    await stage.delivery.refresh()

    assert stage.source.loads == 1
    assert live.served.revision == 2
    assert verify_seal(live.served.encodings.identity)
    assert live.served.encodings.identity == (await loaded_afresh(stage)).served.encodings.identity


async def loaded_afresh(stage: Stage) -> LiveEnvironment:
    return await stage.another().environments.get(stage.environment_id)


async def test_refresh_without_news_reads_revisions_only() -> None:
    """An idle tick costs one small query."""
    stage = Stage(flag("a"))
    await loaded(stage)

    await stage.delivery.refresh()

    assert (stage.source.loads, stage.source.changes) == (1, 0)


async def test_refresh_without_environments_asks_nothing() -> None:
    """A process that serves nothing leaves the store alone."""
    stage = Stage(flag("a"))

    await stage.delivery.refresh()

    assert stage.source.looks == 0


async def test_change_too_far_back_loads_everything() -> None:
    """When the way is not known any more, the whole document is."""
    stage = Stage(flag("a"))
    live = await loaded(stage)
    stage.site.put(flag("a", enabled=False))
    stage.site.put(flag("b"))
    del stage.site.log[2]

    await stage.delivery.refresh()

    assert live.served.revision == 3
    assert not is_on(live)


async def test_older_revision_never_replaces_a_newer_one() -> None:
    """Within an epoch there is no way back."""
    stage = Stage(flag("a"))
    live = await loaded(stage)
    stage.site.put(flag("a", enabled=False))
    await stage.delivery.refresh()

    stage.site.revision = 1
    stage.site.flags["a"] = flag("a")
    await stage.delivery.refresh()

    assert live.served.revision == 2
    assert not is_on(live)


async def test_new_epoch_replaces_everything() -> None:
    """A restored database starts a new history, at whatever revision."""
    stage = Stage(flag("a"))
    live = await loaded(stage)
    for _ in range(5):
        stage.site.put(flag("a", enabled=False))
    await stage.delivery.refresh()
    before = live.served.epoch

    stage.source.store_epoch = "second"
    stage.site.revision = 2
    stage.site.flags["a"] = flag("a")
    await stage.delivery.refresh()

    assert live.served.revision == 2
    assert live.served.epoch != before
    assert is_on(live)
    assert not live.ring


async def test_epochs_of_two_environments_differ() -> None:
    """A position in one environment never fits another."""
    stage = Stage(flag("a"))
    other_id, _ = stage.source.add("shop", "staging", flag("a"))

    other = await stage.delivery.environments.get(other_id)

    assert other.served.epoch != (await loaded(stage)).served.epoch


async def test_store_that_fails_changes_nothing() -> None:
    """An outage is an error of the tick and nothing else."""
    stage = Stage(flag("a"))
    live = await loaded(stage)
    before = live.served
    stage.site.put(flag("a", enabled=False))
    stage.source.is_down = True

    with pytest.raises(Unavailable):
        await stage.delivery.refresh()

    assert live.served is before
    assert await loaded(stage) is live


async def test_document_past_a_limit_keeps_the_old_one_and_others_go_on() -> None:
    """Too large: refused, logged once, tried again only when there is another one."""
    stage = Stage(flag("a"))
    live = await loaded(stage)
    other_id, other_site = stage.source.add("shop", "staging", flag("a"))
    other = await stage.delivery.environments.get(other_id)
    stage.site.put(flag("b", description="x" * 5_000_000))
    other_site.put(flag("b"))

    for _ in range(4):
        await stage.delivery.refresh()

    assert live.served.revision == 1
    assert other.served.revision == 2
    assert (stage.source.changes, stage.source.loads) == (2, 3)
    stage.site.put(removed=["b"])
    await stage.delivery.refresh()
    assert live.served.revision == 3


@pytest.mark.parametrize("way", ["change", "whole"])
async def test_document_of_the_future_keeps_the_old_one(way: str) -> None:
    """A schema that this engine does not know is never served."""
    stage = Stage(flag("a"))
    live = await loaded(stage)
    stage.site.schema = 2
    stage.site.put(flag("a", enabled=False))
    if way == "whole":
        stage.site.log.clear()

    for _ in range(3):
        await stage.delivery.refresh()

    assert live.served.revision == 1
    assert is_on(live)


async def test_environment_that_cannot_be_read_leaves_the_others_alone() -> None:
    """Whatever reading one of them raises."""
    stage = Stage(flag("a"))
    await loaded(stage)
    other_id, other_site = stage.source.add("shop", "staging", flag("a"))
    other = await stage.delivery.environments.get(other_id)
    stage.site.put(flag("b"))
    stage.site.flags = 5  # type: ignore[assignment]
    other_site.put(flag("b"))

    await stage.delivery.refresh()

    assert other.served.revision == 2


async def test_first_document_that_is_unreadable_is_unavailable() -> None:
    """With nothing to fall back to, clients are told to try again."""
    stage = Stage(flag("a", description="x" * 5_000_000))

    with pytest.raises(Unavailable):
        await loaded(stage)


async def test_removed_environment_is_not_served_any_more(tmp_path: Path) -> None:
    """It is gone from memory and from disk."""
    stage = Stage(flag("a"), folder=tmp_path)
    await loaded(stage)
    await stage.delivery.environments.save()
    stage.source.sites.clear()

    await stage.delivery.refresh()
    await stage.delivery.environments.save()

    assert stage.delivery.environments.find(stage.environment_id) is None
    assert DiskCopies(tmp_path, "installation-1").names() == []


async def test_cold_start_without_the_store(tmp_path: Path) -> None:
    """The last good document is served from disk, marked stale until the store confirms it."""
    stage = Stage(flag("a"), folder=tmp_path)
    await loaded(stage)
    await stage.delivery.close()
    stage.source.is_down = True

    second = stage.another()
    assert second.restore() == 1

    live = await second.environments.get(stage.environment_id)
    assert is_on(live)
    was_stale = second.is_stale
    stage.source.is_down = False
    await second.refresh()
    assert (was_stale, second.is_stale) == (True, False)
    assert stage.source.loads == 1


async def test_copy_older_than_the_store_is_brought_up_to_date(tmp_path: Path) -> None:
    """A restored document takes part in refreshes like any other."""
    stage = Stage(flag("a"), folder=tmp_path)
    await loaded(stage)
    await stage.delivery.close()
    stage.site.put(flag("a", enabled=False))
    second = stage.another()
    second.restore()

    await second.refresh()

    live = await second.environments.get(stage.environment_id)
    assert live.served.revision == 2
    assert not second.is_stale


async def test_copy_on_disk_serves_a_first_use_during_an_outage(tmp_path: Path) -> None:
    """Another process may have saved it after this one started."""
    stage = Stage(flag("a"), folder=tmp_path)
    second = stage.another()
    await loaded(stage)
    await stage.delivery.environments.save()
    stage.source.is_down = True

    live = await second.environments.get(stage.environment_id)

    assert live.is_stale


@pytest.mark.parametrize("damage", ["truncated", "flipped", "foreign", "empty"])
async def test_damaged_copy_is_never_used(tmp_path: Path, damage: str) -> None:
    """Without a good copy there is nothing to serve, and nothing half good is."""
    stage = Stage(flag("a"), folder=tmp_path)
    await loaded(stage)
    await stage.delivery.close()
    file = tmp_path / f"{stage.environment_id}.json"
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    damaged = {"truncated": data[:-10], "flipped": data, "foreign": file.read_bytes(), "empty": b""}[damage]
    file.write_bytes(bytes(damaged))
    stage.source.is_down = True
    second = stage.another(installation="installation-2" if damage == "foreign" else "installation-1")

    assert second.restore() == 0
    with pytest.raises(Unavailable):
        await second.environments.get(stage.environment_id)


async def test_copy_from_disk_serves_the_same_bytes(tmp_path: Path) -> None:
    """Clients see no difference: same bytes, same ETag."""
    stage = Stage(flag("b"), flag("a", type="float", variants={"on": 10.0, "off": 0.0}), folder=tmp_path)
    live = await loaded(stage)
    await stage.delivery.close()

    second = stage.another()
    second.restore()

    again = await second.environments.get(stage.environment_id)
    assert again.served.encodings == live.served.encodings
    assert again.served.etag == live.served.etag


async def test_disk_that_fails_does_not_disturb_delivery(tmp_path: Path) -> None:
    """A full or read-only disk is logged and nothing more."""
    folder = tmp_path / "a-file"
    folder.write_text("in the way")
    stage = Stage(flag("a"), folder=folder)
    live = await loaded(stage)
    stage.site.put(flag("a", enabled=False))

    await stage.delivery.refresh()
    await stage.delivery.environments.save()

    assert live.served.revision == 2


async def test_change_is_on_disk_after_the_refresh(tmp_path: Path) -> None:
    """The copy follows what is served, in the background."""
    stage = Stage(flag("a"), folder=tmp_path)
    await loaded(stage)
    stage.site.put(flag("a", enabled=False))
    await stage.delivery.refresh()
    await stage.delivery.close()

    second = stage.another()
    second.restore()

    assert (await second.environments.get(stage.environment_id)).served.revision == 2


async def test_catching_up_is_bounded() -> None:
    """However many clients claim to know of something newer, the store is looked at a few times only."""
    stage = Stage(flag("a"))
    await loaded(stage)
    looks = stage.source.looks

    for _ in range(100):
        await stage.delivery.environments.catch_up()

    assert stage.source.looks - looks < 10
