"""Races of releases with what must not pass beside them: 200 times each, in transactions of a real PostgreSQL."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable
from typing import Any, Final
from uuid import uuid4

import pytest
import pytest_asyncio
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession
from tests.api.decisions.conftest import Deciding, policy_of
from tests.api.releases.conftest import commit_of, digest_of, done
from tests.api.store import database

from greenroom_server.access.permissions import PERMISSIONS
from greenroom_server.access.principal import Principal
from greenroom_server.clock import SystemClock
from greenroom_server.database.engine import Database
from greenroom_server.decisions.service_decisions import decide_again, keep_decision
from greenroom_server.decisions.service_look import Shelves
from greenroom_server.decisions.service_policies import activate_policy
from greenroom_server.decisions.wire import ActivationIn
from greenroom_server.errors import ReleaseRefused
from greenroom_server.flags.service_configurations import switch_flag
from greenroom_server.flags.work import Work
from greenroom_server.policy.facts import Request
from greenroom_server.releases.nouns import VETO
from greenroom_server.releases.service_deployments import fail_deployment, start_deployment
from greenroom_server.releases.service_nouns import add_fact, end_fact
from greenroom_server.releases.service_places import lock_places
from greenroom_server.releases.service_scope import open_ledger, place_of
from greenroom_server.releases.wire_builds import DeploymentIn, FailIn
from greenroom_server.releases.wire_facts import VetoIn
from greenroom_server.web.conditional import IfMatch

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(300)]

REPETITIONS: Final = 200
FLAG: Final = "new-page"
STORY: Final = "SHOP-1"
KINDS: Final = {"C1": "test.unit", "C2": "test.shown", "C3": "test.security"}
# What is released is looked at by its evidence alone, so only the places keep a release and a deployment apart.
RULES: Final[list[dict[str, Any]]] = [
    *(
        {"id": condition.lower(), "kind": "evidence", "condition": condition, "actions": ["release"], "evidence": kind}
        for condition, kind in KINDS.items()
    ),
    {"id": "dark", "kind": "flags_dark", "actions": ["deploy"]},
    {"id": "forbidden", "kind": "veto", "actions": ["release", "deploy"]},
]
FROZEN: Final = {"id": "frozen", "kind": "calendar", "actions": ["release"], "use": ["always"]}
ALWAYS: Final = {"always": {"type": "freeze", "from": "2020-01-01T00:00", "to": "2090-01-01T00:00"}}


class Racing:
    """Build 1 is live with a dark flag; build 2 brings more work on its story, and nothing is known of it."""

    def __init__(self, deciding: Deciding, opened: Database) -> None:
        self.deciding = deciding
        self.key = deciding.releases.stage.key
        self.opened = opened
        self.shelves = Shelves(opened)
        self.admin = Principal(uuid4(), "racer", "admin", PERMISSIONS["admin"], person="ada@shop.example")

    async def set_up(self) -> None:
        releases, author = self.deciding.releases, self.deciding.author
        for flag, story in ((FLAG, STORY), ("other", "SHOP-2")):
            await releases.stage.made(flag, purpose="release", expires_on="2030-01-01", stories=[story])
        await releases.built(1, commits=[{"id": commit_of(1), "stories": [STORY, "SHOP-2"]}])
        for kind in KINDS.values():
            await releases.checked(1, kind, run={"id": kind}, counts={"total": 1, "passed": 1})
        await releases.deployed(1)
        await releases.built(2, parent=digest_of(1), commits=[{"id": commit_of(2), "stories": [STORY]}])
        document = {name: value for name, value in policy_of().items() if name != "suites"} | {"rules": RULES}
        done(await author.post(self.deciding.policies, json=document))
        frozen = {**document, "rules": [*RULES, FROZEN], "calendars": ALWAYS}
        done(await author.post(self.deciding.policies, json=frozen))
        await self.in_one(self.activate, 1)

    def work(self, session: AsyncSession) -> Work:
        return Work(session, self.admin, SystemClock().now(), IfMatch(()))

    async def in_one(self, verb: Any, *arguments: Any) -> Any:
        async with self.opened.transaction() as session:
            return await verb(self.work(session), *arguments)

    async def release(self, flag: str = FLAG) -> dict[str, Any] | None:
        """The decision that let the flag be lit; None if it was refused."""
        try:
            outcome = await self.in_one(lambda work: switch_flag(work, (self.key, "production", flag), enabled=True))
        except ReleaseRefused:
            return None
        return dict(outcome.verdicts[0].decision)

    async def darken(self, flag: str = FLAG) -> None:
        await self.in_one(lambda work: switch_flag(work, (self.key, "production", flag), enabled=False))

    async def deploy(self) -> str | None:
        """Decide and record in one transaction; the deployment, or None if it may not go."""
        request = Request("deploy", "web", "production", "ada@shop.example", digest=digest_of(2))

        async def decided(work: Work) -> str | None:
            place = await place_of(work, self.key)
            await lock_places(work, place.project_id, [("web", "production")])
            await open_ledger(work, self.key)
            made = await decide_again(work, self.key, request, self.shelves)
            await keep_decision(work, made)
            if made.decision.verdict != "allow":
                return None
            wanted = DeploymentIn(digest=digest_of(2), environment="production")
            return (await start_deployment(work, self.key, "web", wanted)).result.id

        found: str | None = await self.in_one(decided)
        return found

    async def fail(self, deployment: str) -> None:
        await self.in_one(lambda work: fail_deployment(work, self.key, deployment, FailIn()))

    async def activate(self, work: Work, version: int, after: int = 0) -> None:
        """From the turn on at which it is its own: after so many questions that change nothing."""
        for _ in range(after):
            await work.session.execute(text("SELECT 1"))
        await activate_policy(work, self.key, "web", version, ActivationIn(reason="a race"))

    async def kept(self, flag: str = FLAG) -> tuple[str, int, int]:
        """Verdict, number of facts and number of activations of the last decision on a release."""
        async with self.opened.reading() as session:
            row = (await session.execute(_LAST, {"project": self.key, "flag": flag})).one()
        return str(row.verdict), int(row.seq), int(row.activation)


_LAST: Final = text("""
SELECT verdict, seq, activation FROM decision JOIN project ON project.id = project_id
WHERE project.key = :project AND action = 'release' AND subject = :flag
ORDER BY decided_at DESC, decision.id DESC LIMIT 1
""")


@pytest_asyncio.fixture(loop_scope="session")
async def racing(deciding: Deciding) -> AsyncIterator[Racing]:
    async with database(deciding.releases.stage.url, pool_size=4) as opened:
        made = Racing(deciding, opened)
        await made.set_up()
        yield made


async def race(number: int, *runners: Awaitable[Any]) -> list[Any]:
    """All of them at once, and now and then one after the other; who is off first changes from time to time."""
    order = [(number + index) % len(runners) for index in range(len(runners))]
    if number % 20 < len(runners):
        found = [await runners[index] for index in order]
    else:
        found = await asyncio.gather(*(runners[index] for index in order))
    return [found[order.index(index)] for index in range(len(runners))]


async def test_a_deployment_and_a_release_never_both_pass(racing: Racing) -> None:
    """A build whose story is dark, and the release of that very flag: alone, each of them may go."""
    outcomes: Counter[tuple[bool, bool]] = Counter()
    for number in range(REPETITIONS):
        deployment, decision = await race(number, racing.deploy(), racing.release())
        outcomes[deployment is not None, decision is not None] += 1
        if deployment is not None:
            await racing.fail(deployment)
        if decision is not None:
            await racing.darken()

    assert set(outcomes) == {(True, False), (False, True)}, outcomes


async def test_a_release_and_a_veto_come_one_after_the_other(racing: Racing) -> None:
    """Who was allowed did not know of the veto, and whoever knew was refused: there is nothing between."""
    veto = VetoIn(environment="production", reason="a race")
    outcomes: Counter[bool] = Counter()
    for number in range(REPETITIONS):
        said = racing.in_one(lambda work: add_fact(work, racing.key, VETO, veto))
        forbidden, decision = await race(number, said, racing.release())
        verdict, seq, _ = await racing.kept()
        outcomes[decision is not None] += 1
        assert (verdict == "allow") == (decision is not None) == (seq < forbidden.result.seq)
        if decision is not None:
            await racing.darken()
        await racing.in_one(lambda work, id_=forbidden.result.id: end_fact(work, racing.key, VETO, id_, "over"))

    assert set(outcomes) == {True, False}, outcomes


async def test_a_release_and_a_freeze_come_one_after_the_other(racing: Racing) -> None:
    """A freeze that somebody puts into force is known to every release that is decided after it."""
    outcomes: Counter[bool] = Counter()
    for number in range(REPETITIONS):
        _, decision = await race(number, racing.in_one(racing.activate, 2, number % 20), racing.release())
        verdict, _, activation = await racing.kept()
        outcomes[decision is not None] += 1
        assert (verdict == "allow") == (decision is not None)
        assert activation % 2 == (1 if decision is not None else 0)  # each odd activation is of the open policy
        if decision is not None:
            await racing.darken()
        await racing.in_one(racing.activate, 1)

    assert set(outcomes) == {True, False}, outcomes


async def test_two_releases_wait_for_each_other_and_both_are_decided(racing: Racing) -> None:
    """Nobody is turned away, and each is kept with its own decision."""
    for number in range(REPETITIONS):
        first, second = await race(number, racing.release(), racing.release("other"))
        assert first["id"] != second["id"]
        assert {first["decision"], second["decision"]} == {"allow"}
        await racing.darken()
        await racing.darken("other")
