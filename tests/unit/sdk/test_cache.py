"""The copy on disk: whole or not at all, ours alone, and never believed without its checksum."""

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from tests.unit.sdk.documents import snapshot

from greenroom.cache import DiskCopy
from greenroom.errors import Unusable
from greenroom.held import Held, read_document

CYCLES = 15


def held(revision: int = 1) -> Held:
    return read_document(snapshot(revision, a=True, filler="x" * 50_000), "server")


@pytest.fixture
def copy(tmp_path: Path) -> DiskCopy:
    return DiskCopy(tmp_path / "cache", "server and key")


def test_what_was_written_is_read(copy: DiskCopy) -> None:
    """As a copy from disk, in a folder and a file for nobody else."""
    copy.note(held(3))
    copy.write(0.0)
    loaded = copy.load()

    assert loaded is not None
    assert (loaded.snapshot.revision, loaded.origin) == (3, "disk")
    assert copy.path.stat().st_mode & 0o777 == 0o600
    assert copy.path.parent.stat().st_mode & 0o777 == 0o700


def test_nothing_there_is_no_trouble(copy: DiskCopy) -> None:
    """The first start of all."""
    assert copy.load() is None


def test_changes_in_a_row_are_written_together(copy: DiskCopy) -> None:
    """Once a second at most; only what the server said is written."""
    assert copy.due_in_s(0.0) == float("inf")
    copy.note(held(1).is_confirmed_by("disk"))
    assert copy.due_in_s(0.0) == float("inf")
    copy.note(held(1))
    assert copy.due_in_s(5.0) == 0.0
    copy.write(5.0)
    copy.note(held(2))
    assert copy.due_in_s(5.25) == 0.75


def test_every_truncation_is_refused(copy: DiskCopy) -> None:
    """And every flipped byte."""
    copy.write_now(read_document(snapshot(1, a=True), "server").sealed_bytes())
    good = copy.path.read_bytes()
    bad = [good[:cut] for cut in range(len(good))]
    bad += [good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :] for at in range(0, len(good), 3)]
    for data in bad:
        copy.path.write_bytes(data)
        with pytest.raises(Unusable):
            copy.load()
    copy.path.write_bytes(good)
    assert copy.load() is not None


@pytest.mark.parametrize("mode", [0o777, 0o1777, 0o770])
def test_a_folder_that_others_can_write_is_refused(copy: DiskCopy, mode: int) -> None:
    """To read and to write."""
    copy.write_now(held().sealed_bytes())
    copy.path.parent.chmod(mode)

    with pytest.raises(Unusable, match="by others"):
        copy.load()
    with pytest.raises(Unusable, match="by others"):
        copy.write_now(b"{}")


def test_a_file_that_others_can_write_is_refused(copy: DiskCopy) -> None:
    """Whatever its contents."""
    copy.write_now(held().sealed_bytes())
    copy.path.chmod(0o666)

    with pytest.raises(Unusable, match="by others"):
        copy.load()


def test_links_and_pipes_are_refused(copy: DiskCopy, tmp_path: Path) -> None:
    """Nobody leads us elsewhere, or makes us wait."""
    copy.write_now(held().sealed_bytes())
    elsewhere = copy.path.rename(tmp_path / "elsewhere")
    copy.path.symlink_to(elsewhere)
    with pytest.raises(OSError, match="symbolic"):
        copy.load()
    copy.path.unlink()
    os.mkfifo(copy.path, 0o600)
    with pytest.raises(Unusable):
        copy.load()


def test_a_failed_write_leaves_the_old_file(copy: DiskCopy, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk, say; and nothing else is left either."""
    copy.write_now(held(1).sealed_bytes())

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        copy.write_now(held(2).sealed_bytes())

    loaded = copy.load()
    assert loaded is not None
    assert loaded.snapshot.revision == 1
    assert list(copy.path.parent.iterdir()) == [copy.path]


def test_kill_9_while_writing_never_leaves_half_a_file(copy: DiskCopy) -> None:
    """A process that writes without end is killed at random moments; what is there always reads."""
    program = textwrap.dedent(
        f"""
        from pathlib import Path
        from greenroom.cache import DiskCopy
        from greenroom.held import read_document
        from tests.unit.sdk.documents import snapshot
        copy = DiskCopy(Path({str(copy.path.parent)!r}), "server and key")
        data = [read_document(snapshot(n, a="x" * 300_000), "server").sealed_bytes() for n in (1, 2)]
        while True:
            for one in data:
                copy.write_now(one)
                print("written", flush=True)
        """
    )
    root = Path(__file__).parents[3]
    for cycle in range(CYCLES):
        with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, cwd=root) as process:
            assert process.stdout is not None
            for _ in range(2 + cycle % 4):
                assert process.stdout.readline()
            process.send_signal(signal.SIGKILL)
        assert copy.load() is not None
