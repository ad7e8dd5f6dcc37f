"""What a change of flags asks before it lights anything: the release policy, which an area above knows.

Every session of a server carries the gate, so whoever changes flags by the verbs of this area has asked; a session
without one changes none.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from sqlalchemy.ext.asyncio import AsyncSession

from greenroom_server.flags.place import Project
from greenroom_server.flags.work import Verdict, Work

GATE: Final = "greenroom.release_gate"
"""Where a session keeps the gate (`AsyncSession.info`)."""


_OPERATING: Final = frozenset({"operational", "permission"})


def is_feature(purpose: str, hides_story: object) -> bool:
    """Whether showing the flag is a release. Switching another one, which hides no story, is operating."""
    return bool(hides_story) or purpose not in _OPERATING


@dataclass(frozen=True, slots=True)
class Watch:
    """The keys of the environments in which the gate wants to know, and the segment for which dark things are shown."""

    environments: frozenset[str] = frozenset()
    internal_segment: str | None = None


@dataclass(frozen=True, slots=True)
class FlagChange:
    """A flag that a change serves to more people in an environment (`is_release`), or only to fewer.

    `audience` is whom it then reaches, in the words of `audience.audience_of`. `is_end`: somebody got more than the
    dark variant, and now the flag is gone: applications are left with what they make of that.
    """

    environment: str
    flag: str
    purpose: str
    is_release: bool
    audience: str
    is_end: bool = False


class ReleaseGate(Protocol):
    """Says whether flags may be released. `decisions.service_gate.PolicyGate` is one.

    It is asked in the transaction of the change, with the project's row locked, before the ledger is. What it decides
    is on the state of the store as it is under the locks that it takes, and is stored with the change.
    """

    async def watch(self, work: Work, project: Project) -> Watch:
        """Where it wants to be asked; nowhere if no policy is in force."""
        ...

    async def judge(self, work: Work, project: Project, changes: Sequence[FlagChange]) -> Sequence[Verdict]:
        """The decisions on these changes. Raises `ReleaseRefused` for a release that may not be; never for a darkening.

        A refusal is stored too, although the change is rolled back.
        """
        ...


def gate_of(session: AsyncSession) -> ReleaseGate:
    """The gate that the session's store was opened with."""
    gate: ReleaseGate | None = session.info.get(GATE)
    if gate is None:
        raise RuntimeError("no release gate was handed in, so no flag can be changed")
    return gate
