"""What can be typed is described."""

from pathlib import Path

from tests.unit.cli.app_tree import commands

PAGE = Path(__file__).parents[3] / "docs" / "cli.md"


def test_every_command_has_help_and_stands_in_the_docs() -> None:
    """The table of `docs/cli.md` and the commands that there are name each other exactly."""
    found = dict(commands())
    listed = {line.split("`")[1] for line in PAGE.read_text().splitlines() if line.startswith("| `greenroom ")}

    assert all(found.values()), [name for name, text in found.items() if not text]
    assert listed == set(found)
