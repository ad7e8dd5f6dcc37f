"""Which evidence counts: of all that was ever said about the same thing, the latest that is not revoked.

The same thing is (kind, suite, subject, environment), where a subject is a build in all its digests, or a commit. The
latest is the highest (finished_at, attempt, id): a late upload of an older run never wins, and a later red run beats an
earlier green one.
"""

from collections.abc import Iterable, Mapping
from typing import TypeAlias

from greenroom_server.policy.facts import Build, Evidence, Provenance

Place: TypeAlias = tuple[str | None, str | None]
Current: TypeAlias = dict[tuple[str, str, str], dict[Place, Evidence]]

_NOTHING: dict[Place, Evidence] = {}


def builds_by_digest(builds: Iterable[Build]) -> dict[str, Build | None]:
    """The build that a digest names; None for a digest that several builds claim."""
    found: dict[str, Build | None] = {}
    for build in builds:
        for digest in build.digests:
            found[digest] = build if found.get(digest, build) is build else None
    return found


def current_evidence(evidence: Iterable[Evidence], builds: Mapping[str, Build | None]) -> Current:
    """(kind, `build` or `commit`, its id) -> (suite, environment) -> the one that counts.

    Evidence with a digest is about that build, whatever commit it names; a digest of no single build is about none.
    """
    current: Current = {}
    for one in evidence:
        if one.revoked_at is not None:
            continue
        if one.subject.digest is not None:
            build = builds.get(one.subject.digest)
            if build is None:
                continue
            key = (one.kind, "build", build.id)
        else:
            key = (one.kind, "commit", one.subject.commit or "")
        places = current.setdefault(key, {})
        place = (one.suite, one.environment)
        held = places.get(place)
        if held is None or _order(one) > _order(held):
            places[place] = one
    return current


def _order(one: Evidence) -> tuple[int, int, str]:
    return one.finished_at, one.attempt, one.id


def linked_commit(build: Build, provenances: Iterable[Provenance]) -> str | None:
    """The commit whose evidence may count for the build: the registered one, unless all provenance names another."""
    named = {one.commit for one in provenances if one.digest in build.digests and one.commit is not None}
    return build.commit if not named or build.commit in named else None


def evidence_for(current: Current, kind: str, build: Build, commit: str | None) -> Mapping[Place, Evidence]:
    """What counts for a build, with that of its commit where `commit` is given; between both the latest wins."""
    of_build = current.get((kind, "build", build.id), _NOTHING)
    of_commit = current.get((kind, "commit", commit), _NOTHING) if commit is not None else _NOTHING
    if not of_commit:
        return of_build
    merged = dict(of_build)
    for place, one in of_commit.items():
        held = merged.get(place)
        if held is None or _order(one) > _order(held):
            merged[place] = one
    return merged
