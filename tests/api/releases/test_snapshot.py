"""The snapshot of a decision: what bears on the request, as it is in the store, and what the core makes of it."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio
from tests.api.releases.conftest import Releases, commit_of, digest_of, done, moments_ago
from tests.api.store import database

from greenroom_server.access.principal import Principal
from greenroom_server.clock import SystemClock
from greenroom_server.errors import NotFound
from greenroom_server.flags.work import Work
from greenroom_server.policy import facts
from greenroom_server.releases.service_scope import open_ledger
from greenroom_server.releases.service_snapshot import load_snapshot

pytestmark = pytest.mark.asyncio(loop_scope="session")

Loader = Any
NEW_STORY = [{"id": commit_of(2), "authors": ["bo@shop.example"], "stories": ["SHOP-7"]}]


@pytest_asyncio.fixture(loop_scope="session")
async def load(releases: Releases) -> AsyncIterator[Loader]:
    """Loads the snapshot for a request about this test's service."""
    async with database(releases.stage.url) as opened:

        async def snapshot(digest: int | None = 2, *, lock: bool = False, **members: Any) -> facts.Snapshot:
            asked = {"action": "deploy", "service": "web", "environment": "production", "requester": "ada", **members}
            request = facts.Request(**asked, digest=None if digest is None else digest_of(digest))
            unit = opened.transaction(dry_run=True) if lock else opened.reading()
            async with unit as session:
                work = Work(session, Principal(uuid4(), "test", "admin", frozenset()), SystemClock().now())
                if lock:
                    await open_ledger(work, releases.stage.key)
                return await load_snapshot(work, releases.stage.key, request)

        yield snapshot


def build_in(snapshot: facts.Snapshot, number: int) -> facts.Build:
    return next(build for build in snapshot.builds if digest_of(number) in build.digests)


def commits_of(snapshot: facts.Snapshot, number: int) -> set[str]:
    return {commit.id for commit in build_in(snapshot, number).commits}


async def test_an_empty_service(load: Loader) -> None:
    """Nothing is known but the environments; an unknown digest is not there."""
    found = await load()

    assert (found.builds, found.evidence, found.deployments, found.mode) == ((), (), (), "delivery")
    assert [(one.key, one.order, one.tier) for one in found.environments] == [
        ("development", 0, "development"),
        ("staging", 1, "staging"),
        ("production", 2, "production"),
    ]
    with pytest.raises(NotFound):
        await load(service="nobody")


async def test_containment_goes_through_parents(releases: Releases, load: Loader) -> None:
    """The new build contains what its ancestors brought since the live one, and both contain what is asked by name."""
    await releases.built(1, commits=[{"id": commit_of(1), "stories": ["SHOP-1"]}])
    await releases.built(2, parent=digest_of(1), commits=NEW_STORY)
    await releases.built(3, parent=commit_of(2))
    await releases.deployed(1)

    found = await load(3)

    assert {commit_of(2), commit_of(3)} <= commits_of(found, 3)
    assert commits_of(found, 1) == {commit_of(1)}
    assert ("SHOP-7", commit_of(2)) in [(story.key, story.latest_commit) for story in found.stories]
    assert next(one for one in build_in(found, 3).commits if one.id == commit_of(2)).authors == ("bo@shop.example",)


async def test_stories_of_a_build_are_in_those_that_grow_from_it(releases: Releases, load: Loader) -> None:
    """What a build names as a whole comes with every later build, as if its commit had said so."""
    await releases.built(1)
    await releases.built(2, parent=digest_of(1), stories=["SHOP-7"])
    await releases.built(3, parent=digest_of(2))
    await releases.deployed(1)

    found = await load(3)

    assert {story for commit in build_in(found, 3).commits for story in commit.stories} == {"SHOP-7"}


async def test_everything_is_new_where_nothing_is_live(releases: Releases, load: Loader) -> None:
    """What staging has had for long comes to production for the first time, with its stories."""
    await releases.built(1, commits=[{"id": commit_of(1), "stories": ["SHOP-1"]}])
    await releases.built(2, parent=digest_of(1), commits=NEW_STORY)
    await releases.deployed(1, "staging")

    first = await load(2)
    await releases.deployed(1, slot="green", live=False)
    idle = await load(2)

    for found in (first, idle):
        assert {commit_of(1), commit_of(2)} <= commits_of(found, 2)
        assert {"SHOP-1", "SHOP-7"} <= {story.key for story in found.stories}


async def test_a_release_tells_of_everybody_who_worked_on_its_stories(releases: Releases, load: Loader) -> None:
    """Also of commits that are in every build: their authors may not approve the release."""
    first = {"id": commit_of(1), "authors": ["al@shop.example"], "stories": ["SHOP-7"]}
    await releases.built(1, commits=[first])
    await releases.built(2, parent=digest_of(1), commits=NEW_STORY)
    done(await releases.admin.put(f"{releases.project}/stories/SHOP-7", json={"flags": ["new-checkout"]}))
    await releases.built(3, parent=digest_of(2))
    await releases.deployed(3, "staging")
    await releases.deployed(2)

    found = await load(None, action="release", flag="new-checkout", audience="everybody")

    authors = {author for commit in build_in(found, 2).commits for author in commit.authors}
    assert authors == {"al@shop.example", "bo@shop.example"}


async def test_a_declared_digest_asks_about_the_same_build(releases: Releases, load: Loader) -> None:
    """Evidence about one of a build's digests, or its commit, is there when another digest is asked about."""
    await releases.built(2)
    done(await releases.pipeline.post(f"{releases.builds}/{digest_of(2)}/digests", json={"digest": digest_of(22)}))
    await releases.checked(2)
    await releases.checked(9, "test.lint", subject={"commit": commit_of(2)})
    await releases.checked(3, "test.other")

    found = await load(22)

    assert [one.kind for one in found.evidence] == ["test.unit", "test.lint"]


async def test_evidence_tells_of_its_revocation(releases: Releases, load: Loader) -> None:
    """It is still there, with the moment from which it counts no more."""
    await releases.built(2)
    evidence_id = (await releases.checked(2))["items"][0]["id"]
    done(await releases.admin.post(f"{releases.evidence}/{evidence_id}/revoke", json={"reason": "wrong"}))

    (found,) = (await load()).evidence

    assert (found.id, found.revoked_at is not None) == (evidence_id, True)


async def test_flags_hide_stories_from_both_sides(releases: Releases, load: Loader) -> None:
    """A flag may name the story, or the story the flag; each tells whether it is dark in production."""
    await releases.built(2, stories=["SHOP-117", "SHOP-7"])
    story = {"flags": ["new-checkout", "not-there-yet"]}
    done(await releases.admin.put(f"{releases.project}/stories/SHOP-7", json=story))

    found = await load()

    flags = {story.key: story.flags for story in found.stories}
    assert flags == {"SHOP-117": ("express-delivery",), "SHOP-7": ("new-checkout", "not-there-yet")}
    assert {flag.key: flag.is_dark for flag in found.flags} == {"express-delivery": True, "new-checkout": False}


async def test_the_internal_segment_may_see_what_is_dark(releases: Releases, load: Loader) -> None:
    """A flag that only staff gets is dark once staff is declared to be the internal segment."""
    await releases.stage.made("inside", stories=["SHOP-7"])
    rules = [{"id": "staff", "when": {"segment": "staff"}, "serve": {"variant": "on"}}]
    lit = {"enabled": True, "rules": rules, "fallthrough": {"variant": "off"}}
    await releases.stage.patched(releases.stage.flag("inside", "production"), lit)
    await releases.built(2, stories=["SHOP-7"])

    before = await load()
    settings = {"internal_segment": "staff"}
    done(await releases.admin.put(f"{releases.project}/release-settings", json=settings))

    assert [flag.is_dark for flag in before.flags] == [False]
    assert [flag.is_dark for flag in (await load()).flags] == [True]


async def test_a_release_brings_the_stories_of_its_flag(releases: Releases, load: Loader) -> None:
    """Asked about a flag, the builds are those that run, and the stories those that it hides, however old."""
    await releases.built(1, stories=["SHOP-117"])
    await releases.built(2, parent=digest_of(1))
    await releases.deployed(2)

    found = await load(None, action="release", flag="express-delivery", audience="everybody")

    assert [story.key for story in found.stories] == ["SHOP-117", "SHOP-118"]
    assert [story.latest_commit for story in found.stories] == [commit_of(1), None]
    assert commit_of(1) in commits_of(found, 2)
    assert [flag.key for flag in found.flags] == ["express-delivery"]


async def test_a_demo_brings_the_build_that_was_shown(releases: Releases, load: Loader) -> None:
    """The deployment that ran then and its build are there, though another one runs now, and who accepted."""
    await releases.built(1, commits=[{"id": commit_of(1), "stories": ["SHOP-7"]}])
    await releases.built(2, parent=digest_of(1))
    moments = {"started_at": moments_ago(minutes=30), "finished_at": moments_ago(minutes=30)}
    await releases.deployed(1, "staging", **moments)
    demo = {"stories": ["SHOP-7"], "environment": "staging", "at": moments_ago(minutes=20)}
    made = await releases.said("demos", demo)
    customer = await releases.person("developer", "customer")
    done(await customer.post(f"{releases.project}/demos/{made['id']}/accept", json={"role": "customer"}))
    await releases.deployed(2, "staging")

    found = await load()

    assert [one.role for one in found.demos[0].accepted_by] == ["customer"]
    assert commit_of(1) in commits_of(found, 1) & commits_of(found, 2)
    assert [one.removed_at is None for one in found.deployments] == [False, True]


async def test_what_is_said_elsewhere_is_not_there(releases: Releases, load: Loader) -> None:
    """Facts about another service, digest or environment bear on nothing here; those that name nothing do."""
    done(await releases.admin.post(f"{releases.project}/services", json={"key": "other", "name": "Other"}))
    await releases.built(2)
    ada = await releases.person("manager", "product")
    for scope in ({"service": "other"}, {"digest": digest_of(9)}, {"service": "web"}, {"digest": digest_of(2)}, {}):
        await releases.said("vetoes", {**scope, "reason": "no"}, ada)
    approval = {"verdict": "approve", "action": "deploy", "digest": digest_of(2)}
    for environment in ("staging", "production"):
        await releases.said("approvals", {**approval, "environment": environment}, ada)

    found = await load()

    assert [(veto.scope.service, veto.scope.digest) for veto in found.vetoes] == [
        ("web", None),
        (None, digest_of(2)),
        (None, None),
    ]
    assert [(one.environment, one.roles) for one in found.approvals] == [("production", ("product",))]


async def test_people_modes_and_waivers(releases: Releases, load: Loader) -> None:
    """Aliases lead to the main name, whoever left is inactive, the newest mode holds, a waiver has its end."""
    done(await releases.admin.put(f"{releases.project}/people/bo@shop.example", json={"aliases": ["Bo Ek"]}))
    done(await releases.admin.put(f"{releases.project}/people/eve@shop.example", json={"is_active": False}))
    for mode in ("hold", "deployment"):
        path = f"{releases.service}/environments/production/mode"
        done(await releases.admin.put(path, json={"mode": mode, "force": True, "reason": "no report is needed here"}))
    waiver = {"rule": "soak", "environment": "production", "service": "web", "until": "2999-01-01T00:00:00Z"}
    await releases.said("waivers", {**waiver, "reason": "urgent"}, await releases.person())

    found = await load()

    assert (found.aliases, found.inactive_people) == ({"Bo Ek": "bo@shop.example"}, {"eve@shop.example"})
    assert (found.mode, [one.until for one in found.waivers]) == ("deployment", [32472144000000])


async def test_the_same_facts_make_the_same_snapshot(releases: Releases, load: Loader) -> None:
    """Read twice, also in a writing transaction with the ledger locked, nothing differs."""
    await releases.built(1)
    await releases.built(2, parent=digest_of(1), commits=NEW_STORY)
    await releases.deployed(1)
    await releases.checked(2)

    first, second = await load(), await load(lock=True)

    assert first == second
    assert first.seq == 5
