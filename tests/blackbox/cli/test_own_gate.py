"""The last step of `make check` lets through what passed, and nothing else."""

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.blackbox.server_process import ServerProcess
from tests.gate.__main__ import main
from tests.gate.asking import REPORTS, ROOT, Asking

GREEN = '<testsuite><testcase classname="a" name="b"/></testsuite>'
RED = '<testsuite><testcase classname="a" name="b"/><testcase classname="a" name="c"><failure/></testcase></testsuite>'
EMPTY = "<testsuite/>"


def reports(folder: Path, **texts: str | None) -> Path:
    """Green ones but for those named; None leaves one out."""
    folder.mkdir()
    for name in REPORTS:
        text = texts.get(name, GREEN)
        if text is not None:
            (folder / f"{name}.xml").write_text(text)
    return folder


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="what is decided on is a commit")
def test_a_report_that_is_red_missing_or_empty_lets_nothing_through(
    make_database: Callable[[], str], data_dir_factory: Callable[[], Path], tmp_path: Path
) -> None:
    """Missing is wait, all green allow, red or without a case deny; the reports of the last run count."""
    with ServerProcess(data_dir_factory(), database_url=make_database()) as server:
        asking = Asking(server, tmp_path / "scratch")

        codes = [
            asking.about(reports(tmp_path / "missing", rest=None), "1"),
            asking.about(reports(tmp_path / "green"), "2"),
            asking.about(reports(tmp_path / "red", rest=RED), "3"),
            asking.about(reports(tmp_path / "empty", unit=EMPTY), "4"),
            asking.about(reports(tmp_path / "again"), "5"),
        ]

    assert codes == [10, 0, 20, 20, 0]


def test_a_report_that_nobody_expects_is_not_passed_over(tmp_path: Path) -> None:
    """Whoever adds a suite says which one it is."""
    folder = reports(tmp_path / "reports")
    (folder / "more.xml").write_text(RED)

    assert main(folder) == 2


def test_the_reports_that_are_wanted_are_those_that_the_tests_write() -> None:
    """The Makefile's `--junitxml` and the policy name the same files."""
    written = {line.partition("--junitxml=$(REPORTS)/")[2].split()[0] for line in makefile() if "--junitxml" in line}

    assert written == {f"{name}.xml" for name in REPORTS}


def makefile() -> list[str]:
    return (ROOT / "Makefile").read_text().splitlines()
