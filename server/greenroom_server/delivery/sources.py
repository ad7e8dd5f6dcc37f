"""What delivery is handed: where environments come from, and who holds a token."""

from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol
from uuid import UUID

from greenroom_server.access.principal import Principal


class FlagReader(Protocol):
    """One consistent look at the store: all answers of one reader belong to the same moment."""

    async def epoch(self) -> str:
        """Names this history of the store; another name means that revisions started anew."""
        ...

    async def standing(self, ids: Collection[UUID]) -> tuple[str, Mapping[UUID, int]]:
        """The epoch, and how far these environments are; deleted ones are missing."""
        ...

    async def load_environment(self, environment_id: UUID) -> dict[str, Any] | None:
        """The whole snapshot document, without `epoch` and `checksum`; None if the environment is gone."""
        ...

    async def load_change(self, environment_id: UUID, since: int) -> dict[str, Any] | None:
        """What changed after revision `since`, without `epoch` and `checksum`; None means: load it all."""
        ...


Reading = Callable[[], AbstractAsyncContextManager[FlagReader]]
"""Opens one look at the store, as `FlagSource.reading` does."""


class FlagSource(Protocol):
    """Where environments come from."""

    def reading(self) -> AbstractAsyncContextManager[FlagReader]:
        """Opens one look at the store; raises `Unavailable` when it cannot be reached, also from the reader."""
        ...


class Authenticator(Protocol):
    """Who holds a token; synchronous, in memory, and it goes on working while the store is down."""

    def principal(self, token: str) -> Principal | None:
        """The holder, or None if the token is unknown, revoked or expired."""
        ...

    def by_id(self, token_id: UUID) -> Principal | None:
        """The holder of a token that still stands, by the token's id."""
        ...

    async def catch_up(self, token: str | None) -> bool:
        """Look once more for a token that is unknown here, and may have been made a moment ago; whether it is known."""
        ...
