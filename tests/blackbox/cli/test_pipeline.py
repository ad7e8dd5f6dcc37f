"""This project's own build through the gate: real commit, wheel and JUnit reports, everything by the real command."""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.blackbox.cli.terminal import Inside
from tests.blackbox.server_process import ServerProcess
from tests.gate.asking import PIPELINES

ROOT = Path(__file__).resolve().parents[3]
ME = ("--service", "greenroom")
FLAG, STORY = "own-gate", "GR-117"
RED = "def test_it():\n    assert 1 == 2\n"


@pytest.fixture
def server(make_database: Callable[..., str], data_dir_factory: Callable[[], Path]) -> Iterator[ServerProcess]:
    """A server of this test's own, which it may kill."""
    with ServerProcess(data_dir_factory(), database_url=make_database()) as server:
        yield server


@pytest.fixture
def people(server: ServerProcess) -> dict[str, Inside]:
    """A project with a service, and everybody's terminal: `admin`, `author`, `product` and `pipeline`."""
    where = {
        "GREENROOM_URL": server.url,
        "GREENROOM_PROJECT": "greenroom",
        "GIT_DIR": str(ROOT / ".git"),
        **dict.fromkeys(PIPELINES, ""),
    }
    admin = Inside(**where, GREENROOM_TOKEN=server.set_up())
    admin.run("projects", "create", "greenroom").expect(0)
    admin.run("environments", "create", "staging", "--tier", "staging", "--production-like").expect(0)
    admin.run("environments", "create", "production", "--tier", "production", "--production-like").expect(0)
    admin.run("services", "create", "greenroom").expect(0)
    made = {
        "author": ("--kind", "developer", "--person", "cy@example.com"),
        "product": ("--kind", "manager", "--person", "ada@example.com", "--role", "product"),
        "pipeline": ("--kind", "pipeline"),
    }
    tokens = {name: admin.run("tokens", "create", name, *how, "-q").expect(0).out.strip() for name, how in made.items()}
    return {"admin": admin, **{name: admin.having(GREENROOM_TOKEN=token) for name, token in tokens.items()}}


def report_of(report: Path, *paths: str, code: int = 0) -> Path:
    """The JUnit report of real tests, run by the real pytest."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-n0", f"--junitxml={report}", *paths]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100)
    assert done.returncode == code, done.stdout + done.stderr
    return report


def built(folder: Path) -> Path:
    """A real wheel of the SDK, made without network."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT / "clients" / "python", check=True, capture_output=True, timeout=60)
    (wheel,) = folder.glob("*.whl")
    return wheel


def policy_in_force(people: dict[str, Inside], tmp_path: Path) -> None:
    """Written from the template, without the office hours, and activated by somebody else than its author."""
    author, product = people["author"], people["product"]
    text = author.run("policy", "init", "--time-zone", "Europe/Berlin").expect(0).out
    kept = [
        line for line in text.splitlines() if not re.search(r"id: hours|office|noon|ten to twelve|^calendars", line)
    ]
    file = tmp_path / "policy.yaml"
    file.write_text("\n".join(kept) + "\n")
    author.run("policy", "lint", str(file)).expect(0)
    assert "tests passed" in author.run("policy", "test", str(file)).expect(0).err
    assert author.run("policy", "push", str(file), "-q").expect(0).out == "greenroom@1\n"
    author.run("policy", "activate", "greenroom@1", "--yes").expect(1)
    product.run("policy", "activate", "greenroom@1", "--yes", "--reason", "the first one").expect(0)
    assert author.json("policy", "list")["items"][0]["active_for"] == ["*"]


def flag_released(people: dict[str, Inside]) -> None:
    """The story goes live: shown where the build ran, accepted, approved; until then the gate says what is missing."""
    pipeline, product = people["pipeline"], people["product"]
    about = ("--flag", FLAG, "--audience", "everybody", "-e", "production")
    check = ("gate", "check", *ME, "--action", "release", *about)
    assert "demo.missing" in pipeline.run(*check).expect(10).out
    shown = ("evidence", "demo", "-e", "staging", "--story", STORY, "--audience", "two customers", "-q")
    demo = product.run(*shown).expect(0).out.strip()
    assert "demo.not_accepted" in pipeline.run(*check).expect(10).out
    product.run("evidence", "accept", demo, "--role", "product").expect(0)
    waits = pipeline.run(*check).expect(10).out
    assert "approval.missing" in waits
    assert "demo" not in waits
    product.run("approve", "--action", "release", *about).expect(0)
    assert pipeline.run(*check).expect(0).out.startswith("allow: release of the flag")


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="what is built is a commit, and there is no git repository")
def test_may_this_build_go_to_production(people: dict[str, Inside], server: ServerProcess, tmp_path: Path) -> None:
    """Wait while something is missing, allow once all is there, deny when a test turns red, 3 when nobody answers."""
    wheel, pipeline, product = built(tmp_path / "dist"), people["pipeline"], people["product"]
    build = ("--artifact", str(wheel))
    check = ("gate", "check", *ME, "-e", "production", *build)
    policy_in_force(people, tmp_path)
    assert "digest.unknown" in pipeline.run(*check).expect(20).out

    people["author"].run(
        "flags", "create", FLAG, "--purpose", "release", "--expires-on", "2099-01-01", "--story", STORY
    ).expect(0)
    registered = pipeline.json("build", "register", *ME, *build, "--story", STORY)
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, check=True, capture_output=True, text=True)
    assert registered["commit"] == head.stdout.strip()
    assert registered["commits"][0]["authors"]
    waits = pipeline.run(*check).expect(10)
    assert "evidence.missing" in waits.out
    assert "the pipeline: report new evidence of test.unit (suite unit)" in waits.out

    unit = report_of(tmp_path / "unit-1.xml", "tests/unit/web/test_conditional.py")
    report_of(tmp_path / "unit-2.xml", "tests/unit/cli/test_screen.py")
    run = ("--run-id", "1")
    several = str(tmp_path / "unit-*.xml")
    pipeline.run("evidence", "add", several, "--kind", "test.unit", "--suite", "unit", "--commit", "HEAD", *run).expect(
        0
    )
    for kind in ("component", "acceptance"):
        where = ("--in", "staging") if kind == "acceptance" else ()
        told = ("--kind", f"test.{kind}", "--suite", kind, *build, *run, *where)
        assert "passed" in pipeline.run("evidence", "add", str(unit), *told).expect(0).out
    for kind in ("capacity", "security"):
        told = ("--kind", f"test.{kind}", "--outcome", "pass", "--passed", "3", *build, *run)
        pipeline.run("evidence", "record", *told).expect(0)
    deploy = ("deployment", "run", *ME, "-e", "staging", *build, "--")
    assert pipeline.run(*deploy, sys.executable, "-c", "raise SystemExit(7)").expect(7)
    pipeline.run(*deploy, sys.executable, "-c", "print('deploying')").expect(0)
    waits = pipeline.run(*check).expect(10)
    assert "somebody with the role product: approve" in waits.out
    assert "evidence" not in waits.out, waits.out

    assert pipeline.run("approve", "-e", "production", *build).expect(1).out == ""
    product.run("approve", "-e", "production", *build, "--reason", "customers wait for it").expect(0)
    assert pipeline.run(*check).expect(0).out.startswith("allow: ")
    assert pipeline.run("gate", "simulate", *check[2:], "--mode", "hold").expect(10).out.startswith("wait (simulated)")
    pipeline.run("deployment", "run", *ME, "-e", "production", *build, "--", sys.executable, "-c", "pass").expect(0)
    flag_released(people)

    red = tmp_path / "test_red.py"
    red.write_text(RED)
    report = report_of(tmp_path / "red.xml", str(red), code=1)
    told = ("--kind", "test.component", "--suite", "component", *build, "--run-id", "2")
    assert "component: fail, 1 failed" in pipeline.run("evidence", "add", str(report), *told).expect(0).out
    assert "evidence.failed" in pipeline.run(*check).expect(20).out

    server.kill()
    assert "no answer" in pipeline.run(*check).expect(3).err


def test_what_is_in_a_build_comes_out_of_git(people: dict[str, Inside], tmp_path: Path) -> None:
    """Commits since the newest build among the ancestors, with authors, co-authors and stories of their messages."""
    folder = tmp_path / "repository"
    people_of_git = {
        **{f"GIT_{who}_NAME": "Bo Ek" for who in ("AUTHOR", "COMMITTER")},
        **{f"GIT_{who}_EMAIL": "bo@example.com" for who in ("AUTHOR", "COMMITTER")},
    }

    def git(*arguments: str) -> str:
        environment = {**os.environ, **people_of_git}
        done = subprocess.run(["git", "-C", str(folder), *arguments], check=True, capture_output=True, env=environment)
        return done.stdout.decode().strip()

    def commit(message: str) -> str:
        git("commit", "-q", "--allow-empty", "-m", message)
        return git("rev-parse", "HEAD")

    folder.mkdir()
    git("init", "-q", "-b", "main")
    pipeline = people["pipeline"].having(GIT_DIR=str(folder / ".git"), GREENROOM_SERVICE="greenroom")
    digests = [f"sha256:{digit * 64}" for digit in "123"]
    first = commit("the first")
    pipeline.run("build", "register", "--digest", digests[0]).expect(0)
    second = commit("SHOP-117 delivery\n\nAlso SHOP-118.\n\nCo-authored-by: Cy <cy@example.com>")
    third = commit("SHOP-117 done")

    made = pipeline.json("build", "register", "--digest", digests[1])

    assert (made["commit"], made["branch"], made["parent"], made["is_rooted"]) == (third, "main", digests[0], True)
    assert [one["id"] for one in made["commits"]] == [second, third]
    assert made["commits"][0]["stories"] == ["SHOP-117", "SHOP-118"]
    assert made["commits"][0]["authors"] == ["Bo Ek <bo@example.com>", "Cy <cy@example.com>"]
    again = pipeline.json("build", "register", "--digest", digests[1])
    assert again["id"] == made["id"]
    named = pipeline.json("build", "register", "--digest", digests[2], "--parent", first, "--story-pattern", "none")
    assert (named["parent"], named["commits"][1]["stories"]) == (first, [])
    pipeline.run("build", "register", "--digest", digests[2], "--commit", "nowhere").expect(2)
