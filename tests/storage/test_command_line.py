"""The commands that need the database and no server."""

import subprocess
import sys

import pytest

from greenroom_server.access.directory import TokenDirectory
from greenroom_server.access.service import refresh_directory
from greenroom_server.clock import SystemClock
from greenroom_server.database.engine import Database


def greenroom_server(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "greenroom_server", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_migrate_says_what_it_applied(empty_database_url: str) -> None:
    """The first time it names the migrations, the second time there is nothing to do."""
    first = greenroom_server("migrate", "--database-url", empty_database_url)
    second = greenroom_server("migrate", "--database-url", empty_database_url)

    assert first.returncode == 0
    assert "applied 0001" in first.stdout
    assert second.stdout == "up to date\n"


@pytest.mark.asyncio
async def test_new_admin_is_the_way_back_in(database: Database, database_url: str) -> None:
    """Whoever has the database gets an administrator's token that works."""
    made = greenroom_server("new-admin", "--database-url", database_url)

    directory = TokenDirectory(SystemClock())
    async with database.reading() as session:
        await refresh_directory(session, directory)
    holder = directory.principal(made.stdout.strip())
    assert holder is not None
    assert holder.kind == "admin"


def test_check_config_hides_the_password(database_url: str) -> None:
    """The settings in force are shown without the database's address."""
    shown = greenroom_server("check-config")
    told = subprocess.run(
        [sys.executable, "-m", "greenroom_server", "check-config"],
        env={"GREENROOM_DATABASE_URL": database_url},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert "GREENROOM_PORT=8350" in shown.stdout
    assert "GREENROOM_DATABASE_URL=(set)" in told.stdout
    assert "database: reachable, 0 migrations to apply" in told.stdout


def test_a_wrong_setting_is_named() -> None:
    """A setting that makes no sense ends the command with its variable's name."""
    refused = greenroom_server("serve", "--port", "70000")

    assert refused.returncode == 2
    assert refused.stderr.startswith("GREENROOM_PORT: ")


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("GREENROOM_WEBHOOK_EGRESS", "10.0.0.0/33"),
        ("GREENROOM_WEBHOOK_SECRET_KEYS", "not-a-key"),
        ("GREENROOM_WEBHOOK_PORTS", "https"),
        ("GREENROOM_GUARDRAIL_EGRESS", "10.0.0.0/33"),
    ],
)
def test_wrong_settings_of_webhooks_are_named(variable: str, value: str) -> None:
    """The server does not start with them, and does not quote a key."""
    refused = subprocess.run(
        [sys.executable, "-m", "greenroom_server", "check-config"],
        env={variable: value},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert refused.returncode == 2
    assert refused.stderr.startswith(variable)
    assert "not-a-key" not in refused.stderr
