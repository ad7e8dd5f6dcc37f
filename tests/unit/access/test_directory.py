"""Tokens in memory: who holds which, until when, and how newcomers are found."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from greenroom_server.access import secrets
from greenroom_server.access.directory import TokenDirectory
from greenroom_server.access.tables import TokenRow
from greenroom_server.errors import Forbidden, NotFound, Unauthenticated

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


class MovedClock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.time = NOON

    def now(self) -> datetime:
        return self.time


def row_of(token: str, **members: Any) -> TokenRow:
    kind = secrets.kind_of(token)
    assert kind is not None
    given = {"id": uuid4(), "name": "n", "kind": kind, "hint": "h", "created_at": NOON, "created_by": "x"}
    return TokenRow(**{**given, "secret_hash": secrets.digest(token), **members})


def directory_of(*rows: TokenRow, clock: MovedClock | None = None) -> TokenDirectory:
    made = TokenDirectory(clock or MovedClock())
    made.replace(1, rows)
    return made


def test_holder_is_found() -> None:
    """A token's text leads to its holder."""
    token = secrets.mint("manager")
    row = row_of(token)

    found = directory_of(row).principal(token)

    assert found is not None
    assert (found.token_id, found.kind, found.actor) == (row.id, "manager", f"manager:{row.id}")


def test_unknown_token_is_nobody() -> None:
    """A well-formed token that is not in the directory is None, and so is nonsense."""
    directory = directory_of(row_of(secrets.mint("manager")))

    assert directory.principal(secrets.mint("manager")) is None
    assert directory.principal("nonsense") is None


def test_expiry_bites_at_its_second() -> None:
    """A token works until just before it expires, also when it was used before."""
    token, clock = secrets.mint("manager"), MovedClock()
    row = row_of(token, expires_at=NOON + timedelta(hours=1))
    directory = directory_of(row, clock=clock)

    clock.time = NOON + timedelta(hours=1, microseconds=-1)
    assert directory.principal(token) is not None
    assert directory.is_valid(row.id)
    clock.time = NOON + timedelta(hours=1)
    assert directory.principal(token) is None
    assert not directory.is_valid(row.id)
    assert directory.by_id(row.id) is None


def test_revoked_token_is_forgotten() -> None:
    """A token that a refresh no longer brings is gone, though it was remembered."""
    token = secrets.mint("manager")
    row = row_of(token)
    directory = directory_of(row)
    assert directory.principal(token) is not None

    directory.replace(2, [])

    assert directory.principal(token) is None
    assert not directory.is_valid(row.id)


def test_used_tokens_are_told_once() -> None:
    """Who was used since the last time is told, then forgotten."""
    token = secrets.mint("manager")
    row = row_of(token)
    directory = directory_of(row, row_of(secrets.mint("admin")))
    directory.principal(token)

    assert directory.take_used() == {row.id}
    assert directory.take_used() == set()


def test_authorize_without_credential() -> None:
    """No credential and a wrong one are the same answer."""
    directory = directory_of()

    for credential in (None, "", secrets.mint("admin")):
        with pytest.raises(Unauthenticated):
            directory.authorize(credential, "flags.read", None, None)


def test_authorize_wrong_kind() -> None:
    """A kind that lacks the permission is forbidden."""
    token = secrets.mint("pipeline")

    with pytest.raises(Forbidden, match=r"`flags\.write`"):
        directory_of(row_of(token)).authorize(token, "flags.write", "shop", None)


@pytest.mark.parametrize(("project", "environment"), [("bank", None), ("shop", "production"), ("bank", "staging")])
def test_authorize_outside_limits(project: str, environment: str | None) -> None:
    """What lies outside a token's limits is not there for it."""
    token = secrets.mint("developer")
    directory = directory_of(row_of(token, projects=["shop"], environments=["staging"]))

    with pytest.raises(NotFound):
        directory.authorize(token, "flags.read", project, environment)


def test_authorize_within_limits() -> None:
    """Within its limits a token is as good as one without."""
    token = secrets.mint("developer")
    directory = directory_of(row_of(token, projects=["shop"], environments=["staging"]))

    assert directory.authorize(token, "flags.read", "shop", "staging").kind == "developer"


def test_export_restores_the_same() -> None:
    """The copy on disk brings back every holder with all limits, and holds no token."""
    tokens = [secrets.mint("server"), secrets.mint("developer"), secrets.mint("admin")]
    rows = [
        row_of(tokens[0], environment_id=uuid4(), project_key="shop", environment_key="production"),
        row_of(tokens[1], projects=["shop"], environments=["staging"], expires_at=NOON + timedelta(days=1)),
        row_of(tokens[2]),
    ]
    before = directory_of(*rows)
    state = before.export()

    after = TokenDirectory(MovedClock())
    after.restore(state)

    assert [after.principal(token) for token in tokens] == [before.principal(token) for token in tokens]
    assert after.revision == before.revision
    assert not any(token in str(state) for token in tokens)


@pytest.mark.parametrize("harm", [{"tokens": [{}]}, {"revision": "x"}, {"tokens": [{"hash": "zz"}]}, {"tokens": 1}])
def test_bad_export_changes_nothing(harm: dict[str, Any]) -> None:
    """A copy that cannot be read raises and leaves the directory as it is."""
    token = secrets.mint("admin")
    directory = directory_of(row_of(token))

    with pytest.raises((KeyError, TypeError, ValueError)):
        directory.restore({**directory.export(), **harm})

    assert directory.principal(token) is not None
    assert directory.revision == 1


@pytest.mark.asyncio
async def test_newcomer_is_found_by_looking_again() -> None:
    """A token made elsewhere a moment ago is known after one more look at the store."""
    token, directory = secrets.mint("manager"), directory_of()

    async def refresh() -> None:
        directory.replace(2, [row_of(token)])

    directory.refresh_with(refresh)

    assert await directory.catch_up(token)
    assert directory.principal(token) is not None


@pytest.mark.asyncio
async def test_many_askers_share_a_look() -> None:
    """However many ask at once for tokens that are unknown, the store is looked at once."""
    directory, looks = directory_of(), 0

    async def refresh() -> None:
        nonlocal looks
        looks += 1

    directory.refresh_with(refresh)
    found = await asyncio.gather(*(directory.catch_up(secrets.mint("manager")) for _ in range(100)))

    assert not any(found)
    assert looks == 1


@pytest.mark.asyncio
@pytest.mark.parametrize("credential", [None, "", "nonsense", "gr_adm_" + "0" * 49])
async def test_nonsense_is_not_looked_for(credential: str | None) -> None:
    """Only what could be a token costs a look at the store."""
    directory = directory_of()

    async def refresh() -> None:
        raise AssertionError("nobody may look")

    directory.refresh_with(refresh)

    assert not await directory.catch_up(credential)
