"""Evidence: taken once, never changed, only from those who may, and never from the future."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from tests.api.releases.conftest import Releases, commit_of, digest_of, done, evidence_of, moments_ago
from tests.api.store import database

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_word_for_word_again_is_a_duplicate(releases: Releases) -> None:
    """The second time nothing is added, and the id and number are the first ones."""
    piece = evidence_of(1)

    first = await releases.pipeline.post(releases.evidence, json=piece)
    second = await releases.pipeline.post(releases.evidence, json=[piece])

    assert (first.status_code, second.status_code) == (201, 200)
    assert second.json()["duplicates"] == 1
    assert {**first.json()["items"][0], "status": "duplicate"} == second.json()["items"][0]


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("outcome", "fail"),
        ("subject", {"digest": digest_of(2)}),
        ("finished_at", "2026-01-02T00:00:00Z"),
        ("counts", {"total": 1, "passed": 1}),
    ],
)
async def test_a_run_does_not_change_its_mind(releases: Releases, member: str, value: object) -> None:
    """The same attempt that says something else, such as of another digest, is refused; a new attempt is not."""
    piece = evidence_of(1)
    done(await releases.pipeline.post(releases.evidence, json=piece))

    replayed = await releases.pipeline.post(releases.evidence, json={**piece, member: value})
    rerun = {**piece, member: value, "run": {"id": "run-1", "attempt": 2}}

    assert (replayed.status_code, replayed.json()["code"]) == (409, "evidence_differs")
    assert (await releases.pipeline.post(releases.evidence, json=rerun)).status_code == 201


async def test_a_batch_is_taken_whole_or_not_at_all(releases: Releases) -> None:
    """One wrong piece, told by its place, keeps all others out; a piece that differs does, too."""
    known = evidence_of(1)
    done(await releases.pipeline.post(releases.evidence, json=known))
    future = evidence_of(3, finished_at=moments_ago(minutes=-3))

    wrong = await releases.pipeline.post(releases.evidence, json=[evidence_of(2), future])
    differing = await releases.pipeline.post(releases.evidence, json=[evidence_of(2), {**known, "outcome": "fail"}])

    assert (wrong.status_code, wrong.json()["errors"][0]["pointer"]) == (400, "/1/finished_at")
    assert differing.status_code == 409
    assert len(done(await releases.admin.get(releases.evidence))["items"]) == 1


@pytest.mark.parametrize(("seconds", "status"), [(115, 201), (125, 400)])
async def test_two_minutes_ahead_are_a_clock_and_more_is_the_future(
    releases: Releases, seconds: int, status: int
) -> None:
    """`finished_at` may be ahead of the server's clock by two minutes."""
    piece = evidence_of(1, finished_at=moments_ago(seconds=-seconds))

    reply = await releases.pipeline.post(releases.evidence, json=piece)

    assert reply.status_code == status, reply.text
    assert status == 201 or reply.json()["code"] == "implausible_time"


@pytest.mark.parametrize(
    ("members", "pointer"),
    [
        ({"subject": {}}, "/subject"),
        ({"subject": {"digest": "sha256:AB"}}, "/subject/digest"),
        ({"kind": "Tests"}, "/kind"),
        ({"outcome": "green"}, "/outcome"),
        ({"environment": "moon"}, "/environment"),
        ({"counts": {"total": 3, "passed": 1}}, "/counts/total"),
        ({"counts": {"total": 1, "passed": 1, "flaky": 2}}, "/counts/flaky"),
        ({"started_at": "2026-01-02T00:00:00Z", "finished_at": "2026-01-01T00:00:00Z"}, "/started_at"),
        ({"run": {"id": "1", "attempt": 0}}, "/run/attempt"),
        ({"secret": 1}, "/secret"),
    ],
)
async def test_bad_input_is_told_where(releases: Releases, members: dict[str, Any], pointer: str) -> None:
    """The problem points at the member."""
    reply = await releases.pipeline.post(releases.evidence, json=evidence_of(1, **members))

    assert reply.status_code == 400, reply.text
    assert [one["pointer"] for one in reply.json()["errors"]] == [pointer]


@pytest.mark.parametrize(("pieces", "status"), [(499, 201), (500, 201), (501, 400)])
async def test_a_batch_has_at_most_five_hundred(releases: Releases, pieces: int, status: int) -> None:
    """At the limit it is taken, past it the answer names the limit."""
    finished_at = moments_ago(minutes=1)
    batch = [evidence_of(number, finished_at=finished_at) for number in range(1, pieces + 1)]

    reply = await releases.pipeline.post(releases.evidence, json=batch)

    assert reply.status_code == status, reply.text
    assert status == 201 or (reply.json()["limit"], reply.json()["maximum"]) == ("evidence_per_batch", 500)


async def test_a_person_speaks_in_nobodys_name(releases: Releases) -> None:
    """What a person sends is theirs and not automated, whatever producer it names."""
    ada = await releases.person("developer")

    made = done(await ada.post(releases.evidence, json=evidence_of(1, producer="ci")))
    found = done(await ada.get(f"{releases.evidence}/{made['items'][0]['id']}"))

    assert found["is_automated"] is False
    assert found["producer"].endswith("@shop.example")


async def test_a_pinned_producer_is_who_it_says(releases: Releases) -> None:
    """Another token, another kind, a missing signature and a producer that is not active are refused."""
    refused = {}
    for name, wanted in {
        "token": {"tokens": ["00000000-0000-4000-8000-000000000000"]},
        "kind": {"kinds": ["sbom"]},
        "active": {"is_active": False},
    }.items():
        done(await releases.admin.put(f"{releases.project}/producers/{name}", json=wanted))
        reply = await releases.pipeline.post(releases.evidence, json=evidence_of(1, producer=name))
        refused[name] = (reply.status_code, reply.json()["errors"][0]["pointer"])

    assert refused == {"token": (400, "/producer"), "kind": (400, "/kind"), "active": (400, "/producer")}


async def test_evidence_is_revoked_once_and_stays(releases: Releases) -> None:
    """A revocation is a record of its own with a reason; a second one is refused, and a pipeline makes none."""
    evidence_id = (await releases.checked(1))["items"][0]["id"]
    path = f"{releases.evidence}/{evidence_id}/revoke"
    ada = await releases.person()

    by_pipeline = await releases.pipeline.post(path, json={"reason": "red"})
    revoked = done(await ada.post(path, json={"reason": "wrong database"}))
    again = await ada.post(path, json={"reason": "really"})

    assert by_pipeline.status_code == 403
    assert (revoked["revoked_because"], revoked["outcome"]) == ("wrong database", "pass")
    assert revoked["revoked_by"].endswith("@shop.example")
    assert (again.status_code, again.json()["code"]) == (409, "ended_before")


async def test_the_store_refuses_to_change_evidence(releases: Releases) -> None:
    """Not even the database's owner changes a row by mistake: a trigger refuses it."""
    await releases.checked(1)

    async with database(releases.stage.url) as opened:
        for table in ("evidence", "fact"):
            await releases.said("obstacles", {"text": "in the way"})
            with pytest.raises(DBAPIError, match="append-only"):
                async with opened.transaction() as session:
                    await session.execute(text(f"UPDATE {table} SET seq = seq + 1"))


async def test_lists_are_filtered_and_paged(releases: Releases) -> None:
    """Newest first, by kind, suite, digest and commit, page by page."""
    await releases.checked(1, suite="unit")
    await releases.checked(2, "test.component")
    await releases.checked(3, subject={"commit": commit_of(3)})

    async def runs(**query: Any) -> list[str]:
        found = done(await releases.admin.get(releases.evidence, params=query))
        return [one["run"]["id"] for one in found["items"]]

    first = done(await releases.admin.get(releases.evidence, params={"limit": 2}))
    assert await runs() == ["run-3", "run-2", "run-1"]
    assert await runs(limit=2, cursor=first["next_cursor"]) == ["run-1"]
    assert await runs(kind="test.unit") == ["run-3", "run-1"]
    assert await runs(suite="unit") == ["run-1"]
    assert await runs(digest=digest_of(2)) == ["run-2"]
    assert await runs(commit=commit_of(3)) == ["run-3"]


async def test_two_intakes_of_one_piece_are_one_row(releases: Releases) -> None:
    """Eight senders at once: one piece is kept, and everybody is told its id."""
    piece = evidence_of(1)

    replies = await asyncio.gather(*(releases.pipeline.post(releases.evidence, json=piece) for _ in range(8)))

    assert sorted(reply.status_code for reply in replies) == [200] * 7 + [201]
    assert len({reply.json()["items"][0]["id"] for reply in replies}) == 1
