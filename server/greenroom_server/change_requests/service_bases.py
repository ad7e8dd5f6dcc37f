"""What changes were written for: the flags, configurations and segments that decide what they do.

A change of a flag stands on how it is served, on its variants, and on every segment that its rules name, however far
down: whoever agreed to "on for staff" did not agree to whoever `staff` is made of later.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from greenroom_server.change_requests.content import WHOLE_FLAG, Base, base_of
from greenroom_server.change_requests.wire import ChangeIn
from greenroom_server.errors import NotFound
from greenroom_server.flags.conditions import segments_in, segments_in_rules
from greenroom_server.flags.documents import SERVED_OF_FLAG, configured, flag_facts
from greenroom_server.flags.service_place import get_place
from greenroom_server.flags.service_references import lit_uses_of_segment
from greenroom_server.flags.service_scope import configurations_of, environments_of, get_flag, get_segment
from greenroom_server.flags.work import Work


async def bases_of(work: Work, project: Any, environment_key: str, changes: Sequence[ChangeIn]) -> list[Base]:
    """What is there now, in the order of the targets; what is not there is left out."""
    reader = _Reader(work, project, environment_key)
    for change in changes:
        patch = change.patch or {}
        if change.flag is not None:
            await reader.read_configuration(change.flag)
            if change.op in WHOLE_FLAG:
                await reader.read_flag(change.flag)
            await reader.read_segments(segments_in_rules(_rules(patch)))
        if change.segment is not None:
            await reader.read_segments({change.segment, *(key for key, _ in segments_in(patch.get("when")))})
            await reader.read_usage(change.segment)
    return [base for _, base in sorted(reader.found.items())]


class _Reader:
    """Reads each thing once."""

    def __init__(self, work: Work, project: Any, environment_key: str) -> None:
        self._work = work
        self._project = project
        self._environment_key = environment_key
        self.found: dict[str, Base] = {}

    async def read_configuration(self, key: str) -> None:
        target = f"/flags/{key}/configurations/{self._environment_key}"
        if target in self.found:
            return
        try:
            place = await get_place(self._work.session, (self._project.key, self._environment_key, key))
        except NotFound:
            return
        facts = {name: getattr(place.flag, name) for name in SERVED_OF_FLAG}
        served = [facts, place.flag.archived_at is not None, configured(place.configuration)]
        self._add(target, place.configuration.version, served)
        await self.read_segments(segments_in_rules(place.configuration.rules))

    async def read_flag(self, key: str) -> None:
        """The flag itself, and how it is served everywhere."""
        target = f"/flags/{key}"
        if target in self.found:
            return
        try:
            flag = await get_flag(self._work.session, self._project, key)
        except NotFound:
            return
        rows = {row.environment_id: row for row in await configurations_of(self._work.session, [flag.id])}
        places = await environments_of(self._work.session, self._project)
        served = {one.key: configured(rows[one.id]) for one in places if one.id in rows}
        self._add(target, flag.version, [flag_facts(flag), served])

    async def read_segments(self, keys: Iterable[str]) -> None:
        """These segments, and those that they name."""
        for key in sorted(keys):
            target = f"/segments/{key}"
            if target in self.found:
                continue
            try:
                row = await get_segment(self._work.session, self._project, key)
            except NotFound:
                continue
            self._add(target, row.version, row.when)
            await self.read_segments({name for name, _ in segments_in(row.when)})

    async def read_usage(self, key: str) -> None:
        """Where flags that are on use the segment, directly or through others."""
        target = f"/segments/{key}/usage"
        if target not in self.found:
            uses = await lit_uses_of_segment(self._work, self._project, key)
            self._add(target, 0, sorted((environment.key, flag.key) for environment, flag in uses))

    def _add(self, target: str, version: int, served: Any) -> None:
        self.found[target] = base_of(target, version, served)


def _rules(patch: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    rules = patch.get("rules")
    return [rule for rule in rules if isinstance(rule, Mapping)] if isinstance(rules, list) else []
