"""By what a deployment is let through: asked here, and answered by whoever gives permits out."""

from dataclasses import dataclass
from typing import Final, Literal, Protocol

from greenroom_server.flags.work import Work
from greenroom_server.releases.service_scope import Ledger

Sanction = Literal["permit", "break_glass", "unsanctioned"]


@dataclass(frozen=True, slots=True)
class Move:
    """What is put, or gets the traffic, where. `permit` is what whoever told of it says, which need not be one."""

    deployment: str
    service: str
    environment: str
    slot: str | None
    digest: str
    permit: str | None = None


@dataclass(frozen=True, slots=True)
class Sanctioned:
    """By what, and by which permit; None where there is none and none was asked for."""

    sanction: Sanction | None = None
    permit: str | None = None


class Sanctions(Protocol):
    """Called in the transaction of the report, with the locks of its place and of the ledger held.

    A report is a fact and never refused: what should not have happened is told, not undone.
    """

    async def begin(self, work: Work, ledger: Ledger, move: Move) -> Sanctioned:
        """Something is being deployed: by which permit, which is used by that."""
        ...

    async def end(self, work: Work, ledger: Ledger, permit: str, *, has_failed: bool) -> None:
        """What a permit was used for is over; it may be over itself by then."""
        ...

    async def switch(self, work: Work, ledger: Ledger, move: Move) -> None:
        """A slot gets the traffic, which uses a permit for that if there is one."""
        ...


class _NobodyAsks:
    async def begin(self, _work: Work, _ledger: Ledger, _move: Move) -> Sanctioned:
        return Sanctioned()

    async def end(self, _work: Work, _ledger: Ledger, _permit: str, *, has_failed: bool) -> None:
        pass

    async def switch(self, _work: Work, _ledger: Ledger, _move: Move) -> None:
        pass


NOBODY_ASKS: Final[Sanctions] = _NobodyAsks()
