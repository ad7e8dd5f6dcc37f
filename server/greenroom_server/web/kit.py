"""What the kit is handed by the composition root: who may, where data lives, what was answered before, the time."""

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID

from greenroom_server.clock import Clock


class Caller(Protocol):
    """Whoever holds the credential; the kit needs no more of it than an identity."""

    @property
    def token_id(self) -> UUID: ...


class Authorizer(Protocol):
    """Decides who calls and whether they may."""

    def authorize(
        self, credential: str | None, permission: str, project: str | None, environment: str | None
    ) -> Caller:
        """Answers from memory, without waiting.

        Raises `Unauthenticated` (no or no good credential), `Forbidden` (the permission is lacking) or `NotFound`
        (the project or environment is not theirs to see). `project` and `environment` come from the path.
        """
        ...

    async def catch_up(self, credential: str | None) -> bool:
        """After `Unauthenticated`: look once more for a credential made a moment ago; whether it is known now."""
        ...


class UnitOfWork(Protocol):
    """Opens transactions."""

    def __call__(self, *, write: bool, dry_run: bool, is_single: bool = False) -> AbstractAsyncContextManager[Any]:
        """One transaction, entered as a session; a `single` statement is one by itself.

        It commits once when the block ends well and rolls back when it raises, is cancelled or is a dry run. A
        reading one sees one state. Raises `Unavailable` if the store cannot be reached.
        """
        ...


class StoredReply(Protocol):
    """What was answered to an `Idempotency-Key`."""

    @property
    def fingerprint(self) -> str: ...
    @property
    def status(self) -> int: ...
    @property
    def headers(self) -> Mapping[str, str]: ...
    @property
    def body(self) -> bytes: ...


class IdempotencyStore(Protocol):
    """Remembers answers for a day, in the same transaction as their effects."""

    async def find(self, session: Any, scope: str, key: str) -> StoredReply | None:
        """The reply committed under this key; may first wait for a transaction that is using the key.

        Raises `Conflict` if that one takes too long.
        """
        ...

    async def save(self, session: Any, scope: str, key: str, fingerprint: str, reply: StoredReply) -> None:
        """Remembers the reply; raises `Conflict` if another transaction was first, and then nothing may commit."""
        ...


@dataclass(frozen=True, slots=True)
class WebKit:
    """All that an endpoint needs besides its route."""

    authorizer: Authorizer
    unit_of_work: UnitOfWork
    idempotency: IdempotencyStore
    clock: Clock
    body_timeout_s: float = 15.0
