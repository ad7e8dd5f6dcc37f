"""The project of the decisions' tests, whose service `web` has a history."""

from typing import Any

from tests.api.decisions.conftest import Deciding, deciding
from tests.api.releases.conftest import commit_of, digest_of, done, releases, shared, shared_url, stage

__all__ = ["deciding", "releases", "shared", "shared_url", "stage"]


async def went_out(deciding: Deciding, numbers: range, *, story: str | None = None, is_live: bool = True) -> None:
    """Builds that grew from each other, each tested, and then deployed to production."""
    for number in numbers:
        stories = [] if story is None else [story]
        commits = [{"id": commit_of(number), "authors": ["bo@shop.example"], "stories": stories}]
        parent = {"parent": digest_of(number - 1)} if number > 1 else {}
        await deciding.releases.built(number, commits=commits, **parent)
        await deciding.releases.checked(number, suite="unit", counts={"total": 3, "passed": 3})
        if is_live:
            await deciding.releases.deployed(number)


async def report(deciding: Deciding, **query: Any) -> dict[str, Any]:
    """The readiness of `web` in production."""
    path = f"{deciding.project}/services/web/readiness"
    return done(await deciding.pipeline.get(path, params={"environment": "production", **query}))


async def kept(deciding: Deciding, **members: Any) -> dict[str, Any]:
    """A report that is kept."""
    path = f"{deciding.project}/services/web/readiness"
    return done(await deciding.activator.post(path, json={"environment": "production", **members}))


def criteria(found: dict[str, Any]) -> dict[str, tuple[int | None, bool]]:
    """Criterion -> value, and whether it is met."""
    return {one["criterion"]: (one["value"], one["is_met"]) for one in found["criteria"]}
