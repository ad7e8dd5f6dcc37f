"""Rows on disk: they come back with their ids, whatever was torn, and no two processes send each other's."""

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greenroom.errors import Unusable
from greenroom.rows import Row
from greenroom.spool import Spool

ROWS = [Row("counts", b'{"id":"1"}'), Row("exposures", b'{"id":"2","targeting_key":"\xc3\xa4"}'), Row("events", b"{}")]


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    spool = Spool(tmp_path / "spool", "server", "key")
    yield spool
    spool.close()


def other(tmp_path: Path) -> Spool:
    """As another process would open it."""
    return Spool(tmp_path / "spool", "server", "key")


def test_what_was_appended_is_read(spool: Spool) -> None:
    """In order, from a file and a folder for nobody else."""
    spool.append(1, ROWS[:1])
    spool.append(1, ROWS[1:])
    spool.append(2, ROWS)
    spool.sync()

    assert spool.load(1) == ROWS
    assert spool.load(2) == ROWS
    (path,) = spool.root.glob("*/00000001.rows")
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_nothing_is_made_before_it_is_needed(tmp_path: Path, spool: Spool) -> None:
    """And nothing is left behind."""
    assert spool.adopt(lambda: 1) == []
    assert not (tmp_path / "spool").exists()
    spool.append(1, ROWS)
    spool.remove([1, 2])
    spool.close()

    assert list(spool.root.iterdir()) == []


def test_the_living_are_left_alone(tmp_path: Path, spool: Spool) -> None:
    """Also those of this very process, and those for another server or key."""
    spool.append(1, ROWS)
    assert other(tmp_path).adopt(count(1).__next__) == []
    stranger = Spool(tmp_path / "spool", "server", "another key")
    stranger.append(1, ROWS)
    stranger.close()

    assert spool.adopt(count(5).__next__) == []


def test_what_the_dead_left_is_taken_over_once(tmp_path: Path, spool: Spool) -> None:
    """With its ids; the first who comes has it all."""
    dead = other(tmp_path)
    dead.append(1, ROWS)
    dead.append(2, ROWS[:1])
    dead.close()
    adopted = spool.adopt(count(7).__next__)
    assert [(one.number, one.rows) for one in adopted] == [(7, 3), (8, 1)]
    assert other(tmp_path).adopt(count(1).__next__) == []

    assert spool.load(7) == ROWS
    assert spool.load(8) == ROWS[:1]


def test_a_killed_process_leaves_what_it_synced(tmp_path: Path, spool: Spool) -> None:
    """The system gives its lock back, and nobody else does."""
    program = textwrap.dedent(
        f"""
        import time
        from greenroom.rows import Row
        from greenroom.spool import Spool
        spool = Spool({str(tmp_path / "spool")!r}, "server", "key")
        spool.append(1, [Row("counts", b"1"), Row("counts", b"2")])
        spool.sync()
        print("kept", flush=True)
        time.sleep(60)
        """
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"kept\n"
        assert spool.adopt(count(1).__next__) == []
        process.send_signal(signal.SIGKILL)
    (adopted,) = spool.adopt(count(1).__next__)

    assert spool.load(adopted.number) == [Row("counts", b"1"), Row("counts", b"2")]


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_a_torn_or_damaged_file_gives_the_rows_that_are_whole(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Cut anywhere, or with a byte changed anywhere: no row is made up, and none before the place is lost."""
    spool = Spool(tmp_path_factory.mktemp("torn"), "server", "key")
    spool.append(1, ROWS * 3)
    (path,) = spool.root.glob("*/*.rows")
    whole = path.read_bytes()
    place = data.draw(st.integers(0, len(whole) - 1))
    if data.draw(st.booleans()):
        path.write_bytes(whole[:place])
    else:
        changed = bytes([whole[place] ^ data.draw(st.integers(1, 255))])
        path.write_bytes(whole[:place] + changed + whole[place + 1 :])
    found = spool.load(1)
    spool.close()

    before = whole[:place].count(b"\n")
    assert found[:before] == (ROWS * 3)[:before]
    assert set(found) <= set(ROWS)
    assert len(found) <= 9


def test_a_full_disk_tears_one_line_at_most(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows that are written later are whole, though a piece stands before them."""
    spool.append(1, ROWS[:1])
    real = os.write

    def write(descriptor: int, data: bytes) -> int:
        if len(data) < 5:
            raise OSError(28, "No space left on device")
        return real(descriptor, data[: len(data) // 2])

    monkeypatch.setattr("greenroom.spool.os.write", write)
    with pytest.raises(OSError, match="space"):
        spool.append(1, ROWS[1:2])
    monkeypatch.undo()
    spool.append(1, ROWS[2:])

    assert spool.load(1) == [ROWS[0], ROWS[2]]


def test_a_folder_that_others_can_write_to_is_refused(spool: Spool) -> None:
    """Whoever can put rows there could tell the server anything in our name."""
    spool.root.mkdir(parents=True)
    spool.root.chmod(0o777)

    with pytest.raises(Unusable, match="written by others"):
        spool.append(1, ROWS)


def test_links_are_not_followed(tmp_path: Path, spool: Spool) -> None:
    """A file of another's is not read through one, and its folder stays as it is."""
    (tmp_path / "secret").write_bytes(b"c00000000secret\n")
    dead = other(tmp_path)
    dead.append(1, ROWS)
    (path,) = dead.root.glob("*/*.rows")
    path.unlink()
    path.symlink_to(tmp_path / "secret")
    dead.close()

    assert spool.adopt(count(1).__next__) == []
    assert path.is_symlink()


def test_what_a_process_left_that_died_while_it_began_is_swept(spool: Spool) -> None:
    """After a while: it may be about to begin."""
    spool.root.mkdir(parents=True, mode=0o700)
    for name, age_s in (("old", 7200), ("new", 0)):
        folder = spool.root / f".new-{name}"
        folder.mkdir()
        (folder / "lock").touch()
        then = folder.stat().st_mtime - age_s
        os.utime(folder, (then, then))
    assert spool.adopt(count(1).__next__) == []

    assert [path.name for path in spool.root.glob(".new-*")] == [".new-new"]


def test_a_child_leaves_the_folder_to_its_parent(tmp_path: Path, spool: Spool) -> None:
    """It closes nothing that the parent needs, and holds no lock when the parent is gone."""
    spool.append(1, ROWS[:1])
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            spool.leave_to_parent()
            mine = other(tmp_path)
            status = 0 if mine.adopt(count(1).__next__) == [] else 2
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    spool.append(1, ROWS[1:])
    spool.sync()

    assert spool.load(1) == ROWS
