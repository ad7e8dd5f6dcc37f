"""A server that starts while the database is down serves what it has on disk, if that can be trusted."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.blackbox.own_postgres import OwnPostgres
from tests.blackbox.server_process import ServerProcess, until
from tests.blackbox.venue import FLAG, PROJECT, Venue, open_venue


@pytest.fixture(scope="module")
def postgres(data_dir_factory: Callable[[], Path]) -> Iterator[OwnPostgres]:
    with OwnPostgres(data_dir_factory()) as postgres:
        yield postgres


@pytest.fixture
def venue(postgres: OwnPostgres, data_dir: Path) -> Iterator[Venue]:
    """A server that has served, copied to disk and stopped; `banner` is on."""
    with ServerProcess(data_dir, database_url=postgres.make_database()) as server:
        venue = open_venue(server)
        venue.switch(on=True)
        with venue.application() as app:
            until(lambda: app.value(FLAG) is True, what="the change")
        server.terminate()
        yield venue


def snapshots(data_dir: Path) -> list[Path]:
    """The copies of environments; the one of the tokens is not among them."""
    return [path for path in (data_dir / "snapshots").glob("*.json") if path.name.count("-") == 4]


@pytest.mark.parametrize("trouble", ["killed", "frozen"])
def test_it_serves_from_disk(venue: Venue, postgres: OwnPostgres, trouble: str) -> None:
    """Soon, marked as degraded, with known credentials only; and it catches up once the database is back."""
    server = venue.server
    with getattr(postgres, trouble)():
        begun = time.monotonic()
        server.start()
        with venue.application() as app:
            assert app.value(FLAG) is True
        assert time.monotonic() - begun < 12
        assert venue.readiness() == (200, "degraded")
        with venue.application() as app:
            app.http.headers["Authorization"] = f"Bearer {venue.key[:-1]}"
            assert app.evaluate(FLAG).status_code == 401
        with venue.author(timeout_s=8) as author:
            assert author.http.get("/api/v1/projects").status_code == 503

    until(lambda: venue.readiness() == (200, "ok"), within_s=10, what="`ok`")
    venue.switch(on=False)
    with venue.application() as app:
        until(lambda: app.value(FLAG) is False, within_s=5, what="the change")


def test_a_copy_of_yesterday_is_not_served(venue: Venue, data_dir: Path) -> None:
    """With the database up, what a killed server had not copied yet is there from the first answer on."""
    server, copies = venue.server, {path: path.read_bytes() for path in snapshots(data_dir)}
    server.start()
    venue.switch(on=False)
    for _ in range(3):
        server.kill()
        for path, copy in copies.items():
            path.write_bytes(copy)
        server.start()

        with venue.application() as app:
            assert app.value(FLAG) is False


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-40])


def flip(path: Path) -> None:
    """One letter of a value, so that the JSON stays readable."""
    text = path.read_bytes()
    assert b'"enabled":true' in text
    path.write_bytes(text.replace(b'"enabled":true', b'"enabled":null', 1))


def empty(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize("damage", [truncate, flip, empty])
def test_a_damaged_copy_is_refused(
    venue: Venue, postgres: OwnPostgres, data_dir: Path, damage: Callable[[Path], None]
) -> None:
    """Whole or not at all: without a good copy there is nothing to serve until the database is back."""
    (copy,) = snapshots(data_dir)
    damage(copy)
    with postgres.killed():
        venue.server.start()
        with venue.application() as app:
            reply = app.evaluate(FLAG)
            assert reply.status_code == 503
            assert int(reply.headers["retry-after"]) >= 1
            assert app.snapshot().status_code == 503
        assert "disk_copy_refused" in venue.server.text

    with venue.application() as app:
        until(lambda: app.evaluate(FLAG).status_code == 200, within_s=10, what="the recovery")


def test_a_copy_of_another_environment_is_refused(venue: Venue, postgres: OwnPostgres, data_dir: Path) -> None:
    """A copy under another one's name is not that other one's."""
    server = venue.server.start()
    with venue.author() as author, venue.application() as app:
        author.send(
            "POST", f"/api/v1/projects/{PROJECT}/environments", {"key": "dev", "name": "Dev", "tier": "development"}
        )
        author.switch(PROJECT, "dev", FLAG, on=False)
        key = author.sdk_key(PROJECT, "dev")
        assert app.value(FLAG) is True
        app.http.headers["Authorization"] = f"Bearer {key}"
        assert app.value(FLAG) is False
        until(lambda: len(snapshots(data_dir)) == 2, what="the second copy")
    assert server.terminate() == 0

    first, second = snapshots(data_dir)
    first.rename(second)
    with postgres.killed():
        server.start()
        with venue.application() as app:
            assert app.evaluate(FLAG).status_code == 503
            app.http.headers["Authorization"] = f"Bearer {key}"
            assert app.evaluate(FLAG).status_code == 503


@pytest.mark.parametrize("name", ["snapshots/tokens.json", "identity/installation.json"])
def test_it_does_not_start_without_knowing_who_may_ask(
    venue: Venue, postgres: OwnPostgres, data_dir: Path, name: str
) -> None:
    """A damaged copy of the tokens must not become a server that lets nobody in, or everybody."""
    truncate(data_dir / name)
    with postgres.killed():
        venue.server.begin()
        status = venue.server.process.wait(20)

    assert status != 0
    assert "there are no copies on disk to serve from" in venue.server.text


def test_copies_are_private(venue: Venue, data_dir: Path) -> None:
    """They hold rules and hashes: for the owner alone."""
    copies = list(data_dir.rglob("*.json"))

    assert len(copies) >= 3
    assert {path.stat().st_mode & 0o777 for path in copies} == {0o600}
    assert {path.parent.stat().st_mode & 0o777 for path in copies} == {0o700}
    assert venue.key not in "".join(path.read_text() for path in copies)


def test_without_database_and_copies_it_says_so(postgres: OwnPostgres, data_dir: Path) -> None:
    """An installation that never ran cannot serve anything."""
    fresh = ServerProcess(data_dir, database_url=postgres.make_database())
    with postgres.killed():
        fresh.begin()
        try:
            assert fresh.process.wait(20) != 0
        finally:
            fresh.kill()

    assert "there are no copies on disk to serve from" in fresh.text
