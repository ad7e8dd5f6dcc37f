"""Asks the release gate about a change: looks at what is served before it and after it, and tells what it lights.

A verb looks (`look`) before it changes anything, and settles before it is done. Both look at the store, so whatever way
a change takes, what counts is what becomes of it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from greenroom_server.database.direct import fetch_all
from greenroom_server.errors import Forbidden
from greenroom_server.flags.audience import NOBODY, audience_of
from greenroom_server.flags.gate import FlagChange, Watch, gate_of, is_feature
from greenroom_server.flags.place import Place, Project
from greenroom_server.flags.widening import Served, World, is_wider_segment, widened
from greenroom_server.flags.work import Verdict, Work

_SERVED: Final = tuple(Served.__dataclass_fields__)
_OF_FLAG: Final = ("key", "variants", "client_visible")
_INTERNAL: Final = "people.write"
_GATES: Final = "gates.write"


@dataclass(slots=True)
class Look:
    """What is served where the gate watches, before a change."""

    work: Work
    project: Project
    flag: str | None
    watch: Watch = field(default_factory=Watch)
    worlds: Mapping[str, World] = field(default_factory=dict)
    purposes: dict[str, str] = field(default_factory=dict)
    features: frozenset[str] = frozenset()

    async def begin(self) -> None:
        """See what is served now."""
        self.watch = await gate_of(self.work.session).watch(self.work, self.project)
        if self.watch.environments:
            await self.work.session.flush()
            self.worlds = await self._worlds()

    async def settle(self) -> Sequence[Verdict]:
        """Ask about what the change lights and darkens; raises `ReleaseRefused`.

        Raises `Forbidden` for whoever makes more people internal and could not name another internal segment, and for
        whoever takes a flag from under the gate and could not set that.
        """
        if not self.watch.environments:
            return ()
        await self.work.session.flush()
        were_features = self.features
        after = await self._worlds()
        self._require_right_to_exempt(sorted(were_features - self.features - self._gone(after)))
        return await self._judged(after)

    async def settle_place(self, place: Place) -> Sequence[Verdict]:
        """As `settle`, for a configuration that is not stored yet; what the flag is stays as it was."""
        before = self.worlds.get(place.environment.key)
        if before is None:
            return ()
        served = Served(
            **{name: getattr(place.flag if name in _OF_FLAG else place.configuration, name) for name in _SERVED}
        )
        after = replace(before, flags={**before.flags, served.key: served})
        return await self._judged({place.environment.key: after})

    async def settle_end(self) -> Sequence[Verdict]:
        """As `settle`, for a change after which nothing is served any more, before it is made."""
        return await self._judged({environment: World({}) for environment in self.worlds})

    async def _judged(self, after: Mapping[str, World]) -> Sequence[Verdict]:
        changes: list[FlagChange] = []
        internal = self.watch.internal_segment
        for environment, world in after.items():
            before = self.worlds.get(environment, World({}))
            if internal is not None and is_wider_segment(before, world, internal):
                self._require_right_to_widen(internal)
            for key, direction in widened(before, world, internal).items():
                audience = audience_of(world.flags[key]) if key in world.flags else NOBODY
                is_end = key not in world.flags and audience_of(before.flags[key]) != NOBODY
                changes.append(FlagChange(environment, key, self.purposes[key], direction == "wider", audience, is_end))
        if not changes:
            return ()
        return await gate_of(self.work.session).judge(self.work, self.project, changes)

    def _require_right_to_widen(self, segment: str) -> None:
        if not self.work.principal.allows(_INTERNAL):
            raise Forbidden(
                f"`{segment}` is the segment that may see what counts as dark: who makes it larger needs the"
                f" permission `{_INTERNAL}`, as for naming another one"
            )

    def _gone(self, after: Mapping[str, World]) -> frozenset[str]:
        there = {key for world in after.values() for key in world.flags}
        return frozenset(self.purposes.keys() - there)

    def _require_right_to_exempt(self, keys: Sequence[str]) -> None:
        """What is no feature is switched without the policy being asked, so making a flag one is not for everybody."""
        if keys and not self.work.principal.allows(_GATES):
            raise Forbidden(
                f"`{keys[0]}` would be no feature any more, and the release policy not asked about it: who says so"
                f" needs the permission `{_GATES}`"
            )

    async def _worlds(self) -> dict[str, World]:
        places = (self.project.id, sorted(self.watch.environments))
        rows = await fetch_all(self.work.session, _FLAGS, *places, self.flag)
        segments: dict[str, Any] = {}
        if self.flag is None:
            found = await fetch_all(self.work.session, _SEGMENTS, self.project.id)
            segments = {row["key"]: row["condition"] for row in found}
        served: dict[str, dict[str, Served]] = {key: {} for key in sorted(self.watch.environments)}
        for row in rows:
            served[row["environment"]][row["key"]] = Served(*(row[name] for name in _SERVED))
            self.purposes[row["key"]] = row["purpose"]
        self.features = frozenset(row["key"] for row in rows if is_feature(row["purpose"], row["stories"]))
        return {key: World(flags, segments) for key, flags in served.items()}


async def look(work: Work, project: Project, *, flag: str | None = None) -> Look:
    """Look before a change: of this flag, with what stands on it, or of anything. Wants the project's row locked."""
    found = Look(work, project, flag)
    await found.begin()
    return found


async def look_at_place(work: Work, place: Place) -> Look:
    """Look before a change of one configuration; of a project without policies nothing is asked."""
    if not place.project.is_governed:
        return Look(work, place.project, place.flag.key)
    return await look(work, place.project, flag=place.flag.key)


_FLAGS: Final = f"""
SELECT e.key AS environment, f.purpose, f.stories,
    {", ".join(f"{'f' if name in _OF_FLAG else 'c'}.{name}" for name in _SERVED)}
FROM flag f JOIN flag_configuration c ON c.flag_id = f.id JOIN environment e ON e.id = c.environment_id
WHERE f.project_id = $1 AND e.key = ANY ($2::text[]) AND f.archived_at IS NULL
    AND ($3::text IS NULL OR f.key = $3 OR c.prerequisites::text <> '[]' OR f.key IN (
        SELECT needed ->> 'flag' FROM flag other JOIN flag_configuration naming ON naming.flag_id = other.id
        CROSS JOIN LATERAL json_array_elements(naming.prerequisites) needed WHERE other.project_id = $1
    ))
ORDER BY f.key
"""  # noqa: S608  names of ours
_SEGMENTS: Final = "SELECT key, condition FROM segment WHERE project_id = $1"
