"""docs/release-policy.md says what the code does."""

from pathlib import Path

from tests.unit.policy.documents import HERE

from greenroom_server.policy.descriptions import DESCRIPTIONS
from greenroom_server.policy.fixture_changes import FIXTURES
from greenroom_server.policy.initial import TEMPLATES

GUIDE = (Path(__file__).parents[3] / "docs" / "release-policy.md").read_text("utf-8")


def test_example_is_the_one_that_is_tested() -> None:
    """What the guide shows compiles and passes its tests, as `shop.yaml` does."""
    assert (HERE / "shop.yaml").read_text("utf-8") in GUIDE


def test_every_member_is_explained() -> None:
    """In the words that editors show."""
    rows = [line for line in GUIDE.splitlines() if line.startswith("| `")]

    for model, members in DESCRIPTIONS.items():
        for member, meaning in members.items():
            told = any(row.startswith(f"| `{member}` |") and row.endswith(f"| {meaning} |") for row in rows)
            assert told or not member, f"{model}.{member} is not in the guide in the words of its description"


def test_every_fixture_and_template_is_listed() -> None:
    """With what is different in it."""
    for fixture, (difference, _) in FIXTURES.items():
        assert f"| `{fixture}` | {difference} |" in GUIDE
    for template in TEMPLATES:
        assert f"| `{template}` |" in GUIDE
