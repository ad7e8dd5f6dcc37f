"""The chronicle of a service: in the end it is the snapshot of a decision, and before that it says what was so then."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio
from tests.api.releases.conftest import Releases, commit_of, digest_of, done, moments_ago
from tests.api.store import database

from greenroom_server.access.principal import Principal
from greenroom_server.clock import SystemClock
from greenroom_server.flags.service_history import FlagMoment, HistoryOf, flag_histories
from greenroom_server.flags.service_scope import get_project
from greenroom_server.flags.work import Work
from greenroom_server.policy.chronicle import Chronicle, Known, Version
from greenroom_server.policy.facts import Deployment, Request, Snapshot
from greenroom_server.readiness.pace import in_slices
from greenroom_server.releases.service_chronicle import Whose, chronicle_of, load_history
from greenroom_server.releases.service_snapshot import load_snapshot

pytestmark = pytest.mark.asyncio(loop_scope="session")

Load = Callable[..., Awaitable[tuple[Chronicle, Snapshot]]]
SAME = (
    "stories",
    "deployments",
    "evidence",
    "demos",
    "parities",
    "provenances",
    "obstacles",
    "incidents",
    "vetoes",
    "waivers",
)


@pytest_asyncio.fixture(loop_scope="session")
async def load(releases: Releases) -> AsyncIterator[Load]:
    """Loads the chronicle of `web` in production, and the snapshot about the build of a number."""
    async with database(releases.stage.url) as opened:

        async def both(number: int = 2) -> tuple[Chronicle, Snapshot]:
            key = releases.stage.key
            async with opened.reading() as session:
                work = Work(session, Principal(uuid4(), "test", "admin", frozenset()), SystemClock().now())
                history = await load_history(work, Whose(key, "web", "production"), builds=50)
                request = Request("deploy", "web", "production", "ada", digest_of(number))
                snapshot = await load_snapshot(work, key, request)
            return await in_slices(chronicle_of(history)), snapshot

        yield both


def known_at(chronicle: Chronicle, seq: int | None = None) -> Known:
    """What was known at a number; in the end without one."""
    known = Known(chronicle)
    known.learn(one for one in chronicle.versions if seq is None or one.seq <= seq)
    return known


def of_build(known: Known, number: int) -> Snapshot:
    """The facts about the build of this number."""
    build = next(one for one in known.all("builds") if digest_of(number) in one.digests)
    return known.snapshot(build)


async def test_in_the_end_it_is_the_snapshot(releases: Releases, load: Load) -> None:
    """Of all kinds of facts, with their ends, acceptances, switches of slots and revocations."""
    blue, green = {"slot": "blue"}, {"slot": "green"}
    story = [{"id": commit_of(2), "authors": ["bo@shop.example"], "stories": ["SHOP-905"]}]
    await releases.built(1)
    await releases.built(2, parent=digest_of(1), commits=story)
    await releases.deployed(1, **blue, live=True)
    second = await releases.deployed(2, **green)
    demo = await releases.said("demos", {"stories": ["SHOP-905"], "environment": "production", **green})
    customer = await releases.person("manager", "customer")
    done(await customer.post(f"{releases.project}/demos/{demo['id']}/accept", json={"role": "customer"}))
    done(await releases.pipeline.post(f"{releases.project}/deployments/{second['id']}/live", json={}))
    await releases.deployed(1, "staging")
    await releases.deployed(2, "staging")
    await releases.checked(2)
    await releases.checked(2, "test.security", suite="scan", run={"id": "2"}, subject={"commit": commit_of(2)})
    await releases.said("parities", {"environment": "staging", "of": "production", "drift": ["smaller"]})
    await releases.said("provenances", {"digest": digest_of(2), "builder": "ci://main"})
    for plural, end, body in (
        ("obstacles", "close", {"text": "the lift is stuck"}),
        ("incidents", "resolve", {"text": "smoke", "environment": "production"}),
        ("vetoes", "withdraw", {"reason": "no", "digest": digest_of(2)}),
    ):
        who = customer if plural == "vetoes" else releases.admin
        await releases.said(plural, body, who)
        over = await releases.said(plural, body, who)
        done(await who.post(f"{releases.project}/{plural}/{over['id']}/{end}", json={"reason": "over"}))
    waiver = {"rule": "soak", "environment": "production", "service": "web", "until": "2999-01-01T00:00:00Z"}
    await releases.said("waivers", {**waiver, "reason": "urgent"}, customer)

    chronicle, snapshot = await load()
    found = of_build(known_at(chronicle), 2)

    for member in SAME:
        expected, told = (sorted(getattr(one, member), key=repr) for one in (snapshot, found))
        assert told == expected, member
    assert len(found.deployments) == 4
    assert {build.id for build in snapshot.builds} <= {build.id for build in found.builds}


async def test_each_number_adds_only_what_was_told_then(releases: Releases, load: Load) -> None:
    """A deployment is under way, runs, has the traffic, loses it and is removed, one number after the other."""
    await releases.built(1)
    await releases.built(2, parent=digest_of(1))
    await releases.deployed(1)
    await releases.deployed(2)

    chronicle, _ = await load()

    def seen(seq: int) -> list[tuple[str, bool, bool]]:
        deployments: tuple[Deployment, ...] = known_at(chronicle, seq).all("deployments")
        return [(one.digest, one.live_to is None, one.removed_at is None) for one in deployments]

    numbers = sorted({one.seq for one in chronicle.versions if one.member == "deployments"})
    assert len(numbers) == 2
    assert seen(numbers[0] - 1) == []
    assert seen(numbers[0]) == seen(numbers[1] - 1) == [(digest_of(1), True, True)]
    assert seen(numbers[1]) == [(digest_of(1), False, False), (digest_of(2), True, True)]


async def test_a_parent_and_a_digest_count_from_when_they_are_known(releases: Releases, load: Load) -> None:
    """A build contains its parent's commits once that is registered, and has a digest once that is declared."""
    await releases.built(2, parent=digest_of(1))
    await releases.built(1)
    declared = await releases.pipeline.post(f"{releases.builds}/{digest_of(2)}/digests", json={"digest": digest_of(20)})
    done(declared)

    chronicle, _ = await load()

    builds: list[Version] = [
        one for one in chronicle.versions if one.member == "builds" and digest_of(2) in one.fact.digests
    ]
    told = [({commit.id for commit in one.fact.commits}, len(one.fact.digests)) for one in builds]
    own, both = {commit_of(2)}, {commit_of(1), commit_of(2)}
    assert told == [(own, 1), (both, 1), (both, 2)]


async def test_a_story_is_as_it_was(releases: Releases, load: Load) -> None:
    """Its newest work, its flags, and that it was reopened, each from when it was told."""
    work = {"stories": ["SHOP-906"]}
    await releases.built(1, **work)
    path = f"{releases.project}/stories/SHOP-906"
    done(await releases.admin.put(path, json={"title": "", "flags": ["gift-cards"]}))
    await releases.built(2, parent=digest_of(1), **work)
    done(await releases.admin.post(f"{path}/reopen", json={}))

    chronicle, _ = await load()

    told = [one.fact for one in chronicle.versions if one.id == "SHOP-906"]
    assert [(one.latest_commit, one.flags, one.reopened_at is None) for one in told] == [
        (commit_of(1), (), True),
        (commit_of(1), ("gift-cards",), True),
        (commit_of(2), ("gift-cards",), True),
        (commit_of(2), ("gift-cards",), False),
    ]


async def histories(releases: Releases, *flags: str, **members: Any) -> list[FlagMoment]:
    """How these flags stood in production for the last hour."""
    async with database(releases.stage.url) as opened, opened.reading() as session:
        project = await get_project(session, releases.stage.key)
        since = SystemClock().now() - timedelta(hours=1)
        asked = HistoryOf(project.id, project.key, "production", flags, (), since, members.get("segment"))
        return await flag_histories(session, asked)


async def test_every_way_to_change_a_flag_is_taken_back(releases: Releases) -> None:
    """Made, enabled, rolled out, patched, copied to, imported, archived and restored: each state from its moment."""
    stage = releases.stage
    await stage.made("seen")
    path = stage.flag("seen", "production")
    done(await stage.admin.post(f"{path}/enable"))
    done(await stage.admin.post(f"{path}/rollout", json={"percent": 25}))
    await stage.patched(stage.flag("seen"), {"stories": ["SHOP-907"]})
    copied = {"from": "staging", "flags": ["seen"], "include_enabled": True}
    done(await stage.admin.post(f"{stage.environments}/production/copy", json=copied))
    document = done(await stage.admin.get(f"{stage.project}/export"))
    (flag,) = (one for one in document["flags"] if one["key"] == "seen")
    flag["configurations"]["production"]["enabled"] = True
    done(await stage.admin.post("/api/v1/import", json=document))
    done(await stage.admin.post(f"{stage.flag('seen')}/archive"))
    done(await stage.admin.post(f"{stage.flag('seen')}/restore"))

    told = await histories(releases, "seen")

    assert [(one.is_there, one.reach, one.stories) for one in told] == [
        (False, None, ()),
        (True, "none", ()),
        (True, "all", ()),
        (True, "some", ()),
        (True, "some", ("SHOP-907",)),
        (True, "none", ("SHOP-907",)),
        (True, "all", ("SHOP-907",)),
        (False, None, ()),
        (True, "all", ("SHOP-907",)),
    ]
    assert [one.at for one in told] == sorted(one.at for one in told)


async def test_a_flag_that_never_was_and_one_that_is_gone(releases: Releases) -> None:
    """The one was never there; of the other nobody can tell how it stood before it was archived."""
    stage = releases.stage
    await stage.made("gone")
    done(await stage.admin.post(f"{stage.flag('gone')}/archive"))
    assert (await stage.admin.delete(stage.flag("gone"), headers={"If-Match": "*"})).status_code == 204

    told = await histories(releases, "never", "gone")

    assert [(one.flag, one.is_there, one.is_dark) for one in told] == [
        ("gone", True, None),
        ("gone", False, None),
        ("never", False, None),
    ]


async def test_the_internal_segment_still_counts_as_dark(releases: Releases) -> None:
    """A flag that only its members get is dark, though it reaches some."""
    stage = releases.stage
    await stage.made("inner")
    rules = [{"id": "staff", "when": {"segment": "staff"}, "serve": {"variant": "on"}}]
    path = stage.flag("inner", "production")
    await stage.patched(path, {"enabled": True, "rules": rules, "fallthrough": {"variant": "off"}})

    inside = (await histories(releases, "inner", segment="staff"))[-1]
    outside = (await histories(releases, "inner"))[-1]

    assert (inside.is_dark, inside.reach, outside.is_dark) == (True, "some", False)


async def test_evidence_is_known_from_when_it_came(releases: Releases, load: Load) -> None:
    """However long ago it says that it was finished; and revoked from when that was said."""
    await releases.built(1)
    made = await releases.checked(1, finished_at=moments_ago(hours=5))
    path = f"{releases.evidence}/{made['items'][0]['id']}"
    done(await releases.admin.post(f"{path}/revoke", json={"reason": "a wrong machine"}))

    chronicle, _ = await load(1)

    first, second = (one for one in chronicle.versions if one.member == "evidence")
    assert first.at - first.fact.finished_at > 4 * 3_600_000
    assert (first.fact.revoked_at is None, second.fact.revoked_at is None, first.seq < second.seq) == (
        True,
        False,
        True,
    )
