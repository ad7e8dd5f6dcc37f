"""The checker of histories finds what was planted, and nothing else."""

import json
from pathlib import Path

import pytest
from tests.blackbox.history import READ, WRITE, History, Kind, Record, Writes, problems


def wrote(client: str, kind: Kind, *ids: str) -> Record:
    return Record(0.0, client, kind, WRITE, ids)


def saw(client: str, tag: str) -> Record:
    return Record(0.0, client, "ok", READ, (tag,))


HISTORY = [
    wrote("a", "invoke", "1", "2"),
    wrote("b", "invoke", "3"),
    wrote("a", "ok"),
    wrote("b", "info"),
    wrote("a", "invoke", "4"),
    wrote("b", "invoke", "5"),
    wrote("a", "fail"),
]


@pytest.mark.parametrize("stored", ["12", "123", "125", "2351"])
def test_what_may_be_is_no_problem(stored: str) -> None:
    """All that was acknowledged, with or without what is unknown: an answer that never came, or came as no answer."""
    assert list(problems(HISTORY, stored)) == []


@pytest.mark.parametrize(
    ("stored", "problem"),
    [
        ("1", "acknowledged and lost: 1: 2"),
        ("", "acknowledged and lost: 2: 1, 2"),
        ("124", "refused and stored all the same: 1: 4"),
        ("129", "stored though nobody sent it: 1: 9"),
        ("1232", "stored more than once: 1: 2"),
    ],
)
def test_what_was_planted_is_found(stored: str, problem: str) -> None:
    """Each rule catches its own kind, by name."""
    assert list(problems(HISTORY, stored)) == [problem]


def test_what_is_sent_again_counts_by_its_best_answer() -> None:
    """Unknown, then refused: still unknown. Unknown, then acknowledged: acknowledged."""
    again = [
        *(wrote("a", "invoke", "1"), wrote("a", "info"), wrote("a", "invoke", "1"), wrote("a", "fail")),
        *(wrote("b", "invoke", "2"), wrote("b", "info"), wrote("b", "invoke", "2"), wrote("b", "ok")),
        *(wrote("c", "invoke", "3"), wrote("c", "invoke", "3"), wrote("c", "fail")),
    ]

    assert Writes.of(again) == Writes(frozenset("2"), frozenset("13"), frozenset())


def test_revisions_fall_only_with_a_new_epoch() -> None:
    """Of one client; another one may be behind."""
    assert list(problems([saw("a", "x.7"), saw("b", "x.6"), saw("a", "x.7"), saw("a", "y.1")], "")) == []
    assert list(problems([saw("a", "x.7"), saw("a", "x.6")], "")) == ["a saw revision 6 of epoch x after 7"]
    assert len(list(problems([saw("a", "x.7"), saw("a", "y.1"), saw("a", "x.6")], ""))) == 1


def test_a_failure_tells_the_seed_and_leaves_the_history(tmp_path: Path) -> None:
    """Whoever finds it broken can read every record and run it again."""
    history = History(tmp_path / "history", seed=42)
    history.add("a", "invoke", WRITE, ["1"])
    history.add("a", "ok", WRITE)

    with pytest.raises(AssertionError, match=r"acknowledged and lost: 1: 1\nseed 42; .*history"):
        history.must_agree([])

    history.must_agree(["1"])
    history.close()
    assert [json.loads(line)["kind"] for line in (tmp_path / "history").read_text().splitlines()] == ["invoke", "ok"]
