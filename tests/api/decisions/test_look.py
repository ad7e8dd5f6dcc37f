"""Facts that are kept in memory: used while nothing changed, and never once anything did."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final
from uuid import uuid4

import pytest
import pytest_asyncio
from tests.api.decisions.conftest import Deciding, question
from tests.api.releases.conftest import Releases, commit_of, digest_of, done, moments_ago
from tests.api.statements import listening_to
from tests.api.store import database

from greenroom_server.access.permissions import PERMISSIONS
from greenroom_server.access.principal import Principal
from greenroom_server.clock import SystemClock
from greenroom_server.database.engine import Database
from greenroom_server.decisions.service_decisions import keep_decision, make_decision, make_from_known
from greenroom_server.decisions.service_look import FactShelf, Shelves
from greenroom_server.decisions.wire import DecisionIn
from greenroom_server.errors import NotFound
from greenroom_server.flags.service_configurations import switch_flag
from greenroom_server.flags.work import Work
from greenroom_server.policy.facts import Request, Snapshot
from greenroom_server.policy.question import Index
from greenroom_server.releases.service_snapshot import load_snapshot

pytestmark = pytest.mark.asyncio(loop_scope="session")

FLAG: Final = "basket"
DEPLOY: Final = Request("deploy", "web", "production", "ada", digest=digest_of(2))
RELEASE: Final = Request("release", "web", "production", "ada", flag=FLAG, audience="everybody")


class Looking:
    """A shelf beside the store that it is about."""

    def __init__(self, releases: Releases, opened: Database) -> None:
        self.key = releases.stage.key
        self.opened = opened
        self.shelf = FactShelf()

    async def known(self, request: Request = DEPLOY) -> Index:
        """What the shelf says, which must be what a fresh load says."""
        async with self.opened.reading() as session:
            work = work_in(session)
            _, facts = await self.shelf.look(work, self.key, request)
            assert facts.snapshot == await fresh(work, self.key, request)
        return facts


def work_in(session: Any) -> Work:
    return Work(session, Principal(uuid4(), "test", "admin", PERMISSIONS["admin"]), SystemClock().now())


async def fresh(work: Work, project: str, request: Request) -> Snapshot:
    try:
        return await load_snapshot(work, project, request)
    except NotFound:
        return Snapshot(project, request.service, seq=0, mode="delivery")


@pytest_asyncio.fixture(loop_scope="session")
async def looking(releases: Releases) -> AsyncIterator[Looking]:
    """A build that brings a story which a flag hides, tested and asked about; its parent is live."""
    await releases.built(1)
    await releases.built(2, parent=digest_of(1), stories=["SHOP-7"])
    await releases.deployed(1)
    await releases.checked(2)
    done(await releases.admin.put(f"{releases.project}/stories/SHOP-7", json={"flags": [FLAG]}))
    await releases.stage.made(FLAG)
    async with database(releases.stage.url) as opened:
        yield Looking(releases, opened)


Change = Callable[[Releases], Awaitable[Any]]


async def revoke(releases: Releases) -> None:
    evidence_id = (await releases.checked(2, run={"id": "other"}))["items"][0]["id"]
    done(await releases.admin.post(f"{releases.evidence}/{evidence_id}/revoke", json={"reason": "wrong"}))


async def close(releases: Releases) -> None:
    made = await releases.said("obstacles", {"service": "web", "text": "the lift is stuck"})
    done(await releases.admin.post(f"{releases.project}/obstacles/{made['id']}/close", json={"reason": "gone"}))


async def accept(releases: Releases) -> None:
    demo = {"stories": ["SHOP-7"], "environment": "staging", "audience": ["customer"], "at": moments_ago(minutes=1)}
    made = await releases.said("demos", demo)
    customer = await releases.person("developer", "customer")
    done(await customer.post(f"{releases.project}/demos/{made['id']}/accept", json={"role": "customer"}))


async def veto(releases: Releases) -> None:
    await releases.said("vetoes", {"service": "web", "reason": "no"}, await releases.person("manager", "product"))


async def start(releases: Releases) -> None:
    await releases.deployed(2, slot="green", live=False)


async def declare(releases: Releases) -> None:
    done(await releases.pipeline.post(f"{releases.builds}/{digest_of(2)}/digests", json={"digest": digest_of(22)}))


def put(path: str, body: Any) -> Change:
    return lambda releases: _put(releases, path, body)


async def _put(releases: Releases, path: str, body: Any) -> None:
    done(await releases.admin.put(f"{releases.project}/{path}", json=body))


def patch(path: str, body: Any) -> Change:
    return lambda releases: releases.stage.patched(f"{releases.project}/{path}", body)


async def archive(releases: Releases) -> None:
    done(await releases.admin.post(f"{releases.project}/flags/{FLAG}/archive"))


async def add_environment(releases: Releases) -> None:
    body = {"key": "canary", "name": "Canary", "tier": "staging", "production_like": True}
    done(await releases.admin.post(f"{releases.project}/environments", json=body))


CHANGES: Final[dict[str, Change]] = {
    "evidence": lambda releases: releases.checked(2, "test.lint"),
    "evidence of the commit": lambda releases: releases.checked(9, "test.e2e", subject={"commit": commit_of(2)}),
    "evidence is revoked": revoke,
    "a build": lambda releases: releases.built(3, parent=digest_of(2)),
    "a further digest": declare,
    "a deployment": start,
    "an obstacle comes and goes": close,
    "a demo is accepted": accept,
    "a veto": veto,
    "a mode": put("services/web/environments/production/mode", {"mode": "hold"}),
    "somebody": put("people/bo@shop.example", {"aliases": ["Bo Ek"]}),
    "a story's flags": put("stories/SHOP-7", {"flags": [FLAG, "express-delivery"]}),
    "a flag's stories": patch(f"flags/{FLAG}", {"stories": ["SHOP-8"]}),
    "another flag hides the story": patch("flags/express-delivery", {"stories": ["SHOP-7"]}),
    "a flag is lit otherwise": patch(f"environments/production/flags/{FLAG}", {"enabled": True}),
    "a flag is archived": archive,
    "the internal segment": put("release-settings", {"internal_segment": "staff"}),
    "an environment": add_environment,
    "an environment's tier": patch("environments/staging", {"tier": "production"}),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
async def test_what_changed_is_seen(releases: Releases, looking: Looking, change: Change) -> None:
    """Whatever bears on a request, the next look loads it; and until then what is known is used again."""
    before = [await looking.known(request) for request in (DEPLOY, RELEASE)]
    again = [await looking.known(request) for request in (DEPLOY, RELEASE)]

    await change(releases)

    after = [await looking.known(request) for request in (DEPLOY, RELEASE)]
    assert all(one is other for one, other in zip(before, again, strict=True))
    assert [one.snapshot for one in after] != [one.snapshot for one in before]


async def test_who_asks_and_for_whom_makes_no_other_facts(looking: Looking) -> None:
    """Facts are kept for what they are loaded for; another digest has others."""
    known = await looking.known()

    assert await looking.known(Request("deploy", "web", "production", "eve", digest=digest_of(2))) is known
    assert await looking.known(Request("rollback", "web", "production", "ada", digest=digest_of(2))) is known
    assert await looking.known(Request("deploy", "web", "production", "ada", digest=digest_of(1))) is not known
    assert await looking.known(Request("deploy", "web", "staging", "ada", digest=digest_of(2))) is not known


async def test_a_service_that_was_unknown(releases: Releases, looking: Looking) -> None:
    """Of an unknown service there are no facts, until it is known."""
    request = Request("deploy", "other", "production", "ada", digest=digest_of(2))
    assert (await looking.known(request)).snapshot.seq == 0

    done(await releases.admin.post(f"{releases.project}/services", json={"key": "other", "name": "Other"}))

    assert (await looking.known(request)).snapshot.seq > 0


async def test_what_was_rolled_back_is_not_remembered(releases: Releases, looking: Looking) -> None:
    """A transaction sees what it changed itself; if it is taken back, the next change of the same revision is seen."""
    async with looking.opened.transaction(dry_run=True) as session:
        work = work_in(session)
        await switch_flag(work, (looking.key, "production", FLAG), enabled=True)
        _, facts = await looking.shelf.look(work, looking.key, RELEASE)
        (lit,) = facts.snapshot.flags

    still_dark = {"enabled": True, "fallthrough": {"variant": "off"}}
    await releases.stage.patched(releases.stage.flag(FLAG, "production"), still_dark)

    (dark,) = (await looking.known(RELEASE)).snapshot.flags
    assert (lit.revision, lit.is_dark, dark.is_dark) == (dark.revision, False, True)


async def test_the_shelf_is_bounded(looking: Looking, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was asked for longest ago makes room."""
    monkeypatch.setattr("greenroom_server.decisions.service_look.MAX_KEPT", 2)
    first = await looking.known()
    others = [Request("deploy", "web", "production", "ada", digest=digest_of(number)) for number in (7, 8)]

    kept = [await looking.known(other) for other in others]

    assert [await looking.known(other) for other in others] == kept
    assert await looking.known() is not first


async def test_a_decision_on_known_facts_takes_two_statements(deciding: Deciding) -> None:
    """The look, and the decision with its audit event; no transaction has to be begun for either."""
    await deciding.ruled_by()
    await deciding.green()
    key, wanted = deciding.releases.stage.key, DecisionIn.model_validate(question())
    async with database(deciding.releases.stage.url, pool_size=1) as opened:
        shelves = Shelves(opened)
        async with opened.reading() as session:
            await make_decision(work_in(session), key, wanted, shelves)
        made = await make_from_known(work_in(None), key, wanted, shelves)
        async with opened.single() as session:  # the driver learns what the columns are
            assert made is not None
            await keep_decision(work_in(session), made)
        asked = await listening_to(opened)

        again = await make_from_known(work_in(None), key, wanted, shelves)
        assert again is not None
        async with opened.single() as session:
            await keep_decision(work_in(session), again)

        assert len(said := await asked.since()) == 2, said
    kept = done(await deciding.pipeline.get(f"{deciding.decisions}/{again.id}"))
    replayed = done(await deciding.pipeline.post(f"{deciding.decisions}/{again.id}/replay"))
    events = done(await deciding.author.get(f"{deciding.project}/audit", params={"action": "decision.deploy"}))
    assert (kept["decision"], replayed["same"]) == ("allow", True)
    assert [event["target"].rpartition("/")[2] for event in events["items"]] == [str(again.id), str(made.id)]


async def test_decisions_are_made_from_what_is_known_now(deciding: Deciding) -> None:
    """Through the server: the same question before and after each thing that bears on it."""
    await deciding.ruled_by()
    await deciding.green()
    verdicts = [(await deciding.asked())["decision"] for _ in range(2)]
    made = await deciding.releases.said("obstacles", {"text": "the lift is stuck"})
    verdicts += [(await deciding.asked())["decision"] for _ in range(2)]
    path = f"{deciding.project}/obstacles/{made['id']}/close"
    done(await deciding.releases.admin.post(path, json={"reason": "gone"}))
    verdicts += [(await deciding.asked())["decision"] for _ in range(2)]

    assert verdicts == ["allow", "allow", "wait", "wait", "allow", "allow"]
