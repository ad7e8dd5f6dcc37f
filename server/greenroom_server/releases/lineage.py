"""Which builds contain which commits, from the parents of builds; pure.

Containment is walked and not stored flat: a build has thousands of ancestors, and of two builds that a decision
compares nearly all are the same. What all of them have in common cannot make a difference and is left out, save the
commits that somebody asks for by name.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from greenroom_server.policy.facts import Commit


@dataclass(slots=True)
class Lineage:
    """The parents of builds, as far as they were walked."""

    parents: Mapping[UUID, UUID | None]
    _ancestors: dict[UUID, tuple[UUID, ...]] = field(default_factory=dict)

    def of(self, build: UUID) -> tuple[UUID, ...]:
        """The build and all that it grew from, nearest first. A ring of parents, which is nonsense, ends somewhere."""
        found = self._ancestors.get(build)
        if found is None:
            seen: dict[UUID, None] = {}
            at: UUID | None = build
            while at is not None and at in self.parents and at not in seen:
                seen[at] = None
                at = self.parents[at]
            found = self._ancestors[build] = tuple(seen)
        return found

    def common(self, builds: Sequence[UUID]) -> frozenset[UUID]:
        """What all of these builds contain; nothing if there is but one of them, since it is compared with nothing."""
        if len(builds) < 2:
            return frozenset()
        first, *others = (frozenset(self.of(build)) for build in builds)
        return first.intersection(*others)

    def differing(self, builds: Sequence[UUID]) -> list[UUID]:
        """The builds that some of these contain and some do not."""
        common = self.common(builds)
        return sorted({one for build in builds for one in self.of(build)} - common)


def commits_in(lineage: Lineage, build: UUID, known: Mapping[UUID, Sequence[Commit]]) -> tuple[Commit, ...]:
    """The commits of the build and its ancestors among `known`, oldest first."""
    return tuple(commit for one in reversed(lineage.of(build)) if one in known for commit in known[one])
