"""Builds: registered once, known by every digest, and what they contain."""

import pytest
from tests.api.releases.conftest import Releases, commit_of, digest_of, done

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_the_same_again_changes_nothing(releases: Releases) -> None:
    """The first answer is 201, the second one 200, with the same build under the same number."""
    body = {"digests": [digest_of(1)], "commit": commit_of(1), "stories": ["SHOP-1"]}

    first = await releases.pipeline.post(releases.builds, json=body)
    second = await releases.pipeline.post(releases.builds, json=body)

    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json() == second.json()


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("commit", commit_of(9)),
        ("branch", "other"),
        ("parent", commit_of(8)),
        ("stories", ["SHOP-2"]),
        ("triggered_by", "eve@shop.example"),
        ("commits", [{"id": commit_of(1), "authors": ["eve@shop.example"]}]),
        ("digests", [digest_of(1), digest_of(2)]),
    ],
)
async def test_a_digest_stands_for_one_build(releases: Releases, member: str, value: object) -> None:
    """Another content under the same digest is refused, naming the member that differs."""
    body = {"digests": [digest_of(1)], "commit": commit_of(1)}
    await releases.built(1)

    reply = await releases.pipeline.post(releases.builds, json={**body, member: value})

    assert (reply.status_code, reply.json()["code"]) == (409, "build_differs")
    assert f"`{member}`" in reply.json()["detail"]


async def test_a_declared_digest_leads_to_the_build(releases: Releases) -> None:
    """A promoted copy is the same build, declared twice or not, and belongs to no other one."""
    await releases.built(1)
    await releases.built(2)
    path = f"{releases.builds}/{digest_of(1)}/digests"

    declared = await releases.pipeline.post(path, json={"digest": digest_of(11), "same_as": digest_of(1)})
    again = await releases.pipeline.post(path, json={"digest": digest_of(11)})
    taken = await releases.pipeline.post(f"{releases.builds}/{digest_of(2)}/digests", json={"digest": digest_of(11)})
    unrelated = await releases.pipeline.post(path, json={"digest": digest_of(12), "same_as": digest_of(2)})

    assert (declared.status_code, again.status_code) == (201, 200)
    found = done(await releases.pipeline.get(f"{releases.builds}/{digest_of(11)}"))
    assert [one["digest"] for one in found["digests"]] == [digest_of(1), digest_of(11)]
    assert (taken.status_code, taken.json()["code"]) == (409, "digest_taken")
    assert unrelated.json()["errors"][0]["pointer"] == "/same_as"


async def test_a_commit_may_have_several_builds(releases: Releases) -> None:
    """All of them are listed, the newest first."""
    await releases.built(1)
    await releases.built(2, commit=commit_of(1))

    found = done(await releases.pipeline.get(releases.builds, params={"commit": commit_of(1)}))["items"]

    assert [one["digests"][0]["digest"] for one in found] == [digest_of(2), digest_of(1)]


@pytest.mark.parametrize("named_by", [commit_of, digest_of])
async def test_a_parent_may_come_later(releases: Releases, named_by: object) -> None:
    """A build waits for the parent that it names, by digest or commit, and is rooted when it comes."""
    assert callable(named_by)
    waiting = await releases.built(2, parent=named_by(1))

    await releases.built(1)

    assert waiting["is_rooted"] is False
    assert done(await releases.pipeline.get(f"{releases.builds}/{digest_of(2)}"))["is_rooted"] is True


async def test_commits_create_stories(releases: Releases) -> None:
    """A story that only a commit names is there, with the newest commit that works on it."""
    await releases.built(1, commits=[{"id": commit_of(1), "stories": ["SHOP-7"]}])
    await releases.built(2, parent=commit_of(1), commits=[{"id": commit_of(2), "stories": ["SHOP-7"]}])

    found = done(await releases.admin.get(f"{releases.project}/stories/SHOP-7"))

    assert found["work"] == [{"service": "web", "commit": commit_of(2)}]


async def test_an_older_build_that_comes_late_is_no_news(releases: Releases) -> None:
    """A build that others grew from does not take the newest commit of a story from them."""
    await releases.built(2, parent=commit_of(1), commits=[{"id": commit_of(2), "stories": ["SHOP-7"]}])
    await releases.built(1, commits=[{"id": commit_of(1), "stories": ["SHOP-7"]}])

    found = done(await releases.admin.get(f"{releases.project}/stories/SHOP-7"))

    assert found["work"] == [{"service": "web", "commit": commit_of(2)}]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"digests": [], "commit": commit_of(1)}, "/digests"),
        ({"digests": ["sha256:12"], "commit": commit_of(1)}, "/digests/0"),
        ({"digests": [digest_of(1), digest_of(1)], "commit": commit_of(1)}, "/digests"),
        ({"digests": [digest_of(1)], "commit": "abc1234"}, "/commit"),
        ({"digests": [digest_of(1)], "commit": commit_of(1), "parent": commit_of(1)}, "/parent"),
        ({"digests": [digest_of(1)], "commit": commit_of(1), "stories": ["two words"]}, "/stories/0"),
        (
            {
                "digests": [digest_of(1)],
                "commit": commit_of(1),
                "commits": [{"id": commit_of(2)}, {"id": commit_of(2)}],
            },
            "/commits/1/id",
        ),
        ({"digests": [digest_of(1)], "commit": commit_of(1), "url": "javascript:alert(1)"}, "/url"),
    ],
)
async def test_bad_input_is_told_where(releases: Releases, body: object, pointer: str) -> None:
    """The problem points at the member."""
    reply = await releases.pipeline.post(releases.builds, json=body)

    assert reply.status_code == 400
    assert [one["pointer"] for one in reply.json()["errors"]] == [pointer]


async def test_a_build_has_at_most_a_thousand_commits(releases: Releases) -> None:
    """A thousand are taken, and one more is past the limit."""
    commits = [{"id": commit_of(number)} for number in range(1, 1002)]
    body = {"digests": [digest_of(1)], "commit": commit_of(1), "commits": commits[:1000]}

    taken = await releases.pipeline.post(releases.builds, json=body)
    refused = await releases.pipeline.post(releases.builds, json={**body, "commits": commits})

    assert taken.status_code == 201
    assert (refused.json()["code"], refused.json()["maximum"]) == ("limit_exceeded", 1000)
