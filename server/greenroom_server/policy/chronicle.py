"""Facts as they became known one after the other, so that any earlier state can be had again without hindsight.

A chronicle is loaded once and walked from its beginning: what was known at an instant is what the versions up to then
say, and nothing that came later has any part in it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Any, Final, Literal, TypeAlias

from greenroom_server.policy.facts import Build, Environment, FlagState, Instant, Snapshot, Story

Member: TypeAlias = Literal[
    "builds",
    "stories",
    "flags",
    "deployments",
    "evidence",
    "demos",
    "parities",
    "provenances",
    "obstacles",
    "incidents",
    "vetoes",
    "approvals",
    "waivers",
]
_SAID: Final = (
    "deployments",
    "demos",
    "parities",
    "provenances",
    "obstacles",
    "incidents",
    "vetoes",
    "approvals",
    "waivers",
)


@dataclass(frozen=True, slots=True)
class PastFlag:
    """How a flag stood: dark or not, or None where nobody can tell any more; `stories` are those that it names."""

    key: str
    is_dark: bool | None
    stories: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Version:
    """A fact as it was known from `at` on, by number `seq`; it replaces what the same `id` said before. None: gone."""

    at: Instant
    seq: int
    member: Member
    id: str
    fact: Any


@dataclass(frozen=True, slots=True)
class Chronicle:
    """What happened about one service and environment; `versions` in the order in which they became known.

    What has no history is there as it is now: environments, and who people are. `permitted_at` tells of permits by
    their ids when they were issued.
    """

    project: str
    service: str
    environment: str
    versions: tuple[Version, ...]
    environments: tuple[Environment, ...] = ()
    aliases: Mapping[str, str] = field(default_factory=dict)
    inactive_people: frozenset[str] = frozenset()
    permitted_at: Mapping[str, Instant] = field(default_factory=dict)

    def moments(self) -> Iterable[tuple[Instant, list[Version]]]:
        """The versions by the instant at which they became known together."""
        for at, versions in groupby(self.versions, key=lambda version: version.at):
            yield at, list(versions)


def in_order(versions: Iterable[Version]) -> tuple[Version, ...]:
    """By number, where no instant lies before that of a smaller number; flags, which have none, by their instant."""
    numbered = sorted((one for one in versions if one.member != "flags"), key=lambda one: one.seq)
    told: list[Version] = []
    latest = 0
    for one in numbered:
        latest = max(latest, one.at)
        told.append(one if one.at == latest else replace(one, at=latest))
    return tuple(
        sorted([*told, *(one for one in versions if one.member == "flags")], key=lambda one: (one.at, one.seq))
    )


class Known:
    """What was known at an instant; `learn` moves on."""

    def __init__(self, chronicle: Chronicle) -> None:
        self._chronicle = chronicle
        self._held: dict[str, dict[str, Any]] = {}
        self._frozen: dict[str, tuple[Any, ...]] = {}
        self.seq = 0

    def learn(self, versions: Iterable[Version]) -> None:
        for one in versions:
            held = self._held.setdefault(one.member, {})
            if one.fact is None:
                held.pop(one.id, None)
            else:
                held[one.id] = one.fact
            self._frozen.pop(one.member, None)
            self.seq = max(self.seq, one.seq)

    def all(self, member: Member) -> tuple[Any, ...]:
        found = self._frozen.get(member)
        if found is None:
            found = self._frozen[member] = tuple(self._held.get(member, {}).values())
        return found

    def unknown_flags(self) -> frozenset[str]:
        return frozenset(flag.key for flag in self.all("flags") if flag.is_dark is None)

    def snapshot(self, about: Build, *, is_automated: bool = False) -> Snapshot:
        """The facts that bear on one build, in deployment mode; on request without the evidence that people produced.

        A flag of which nobody can tell how it stood counts as not dark.
        """
        flags = self.all("flags")
        evidence = tuple(
            one
            for one in self.all("evidence")
            if _is_about(one.subject, about) and (one.is_automated or not is_automated)
        )
        return Snapshot(
            project=self._chronicle.project,
            service=self._chronicle.service,
            seq=self.seq,
            mode="deployment",
            builds=self.all("builds"),
            stories=_hidden(self.all("stories"), flags),
            environments=self._chronicle.environments,
            evidence=evidence,
            flags=tuple(FlagState(flag.key, self._chronicle.environment, flag.is_dark is True) for flag in flags),
            aliases=self._chronicle.aliases,
            inactive_people=self._chronicle.inactive_people,
            **{member: self.all(member) for member in _SAID},
        )


def _is_about(subject: Any, build: Build) -> bool:
    if subject.digest is not None:
        return subject.digest in build.digests
    return bool(subject.commit == build.commit)


def _hidden(stories: Sequence[Story], flags: Sequence[PastFlag]) -> tuple[Story, ...]:
    """The stories with the flags that name them."""
    naming: dict[str, set[str]] = {}
    for flag in flags:
        for key in flag.stories:
            naming.setdefault(key, set()).add(flag.key)
    return tuple(
        replace(story, flags=tuple(sorted({*story.flags, *naming[story.key]}))) if story.key in naming else story
        for story in stories
    )
