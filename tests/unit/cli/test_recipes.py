"""Command lines in the documentation can be typed: commands and options exist, and none that is needed is missing."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from greenroom.cli.app import make_app

ROOT = Path(__file__).parents[3]
PAGES = [ROOT / "README.md", ROOT / "clients" / "python" / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
TYPED = re.compile(r"(^|[\s'])greenroom ([a-z].*)$")
EXPRESSION = re.compile(r"\$\{\{.*?\}\}")
ENDS = frozenset({"|", "&&", "||", ";", ">", ">>", "#"})
# Variables stand in for these where a pipeline sets them.
BY_VARIABLE = frozenset({"service"})


def command_lines(text: str) -> Iterator[str]:
    """What is typed behind `greenroom` in fenced blocks."""
    for language, block in FENCE.findall(text):
        if language in ("console", "sh", "yaml", "groovy"):
            for line in re.sub(r"\\\n\s*|\n\s+(?=-- )", " ", block).splitlines():
                found = TYPED.search(line)
                is_output = language == "console" and not line.startswith(("$ ", "> ")) and "greenroom" not in line[:10]
                if found is not None and not is_output:
                    typed = found[2]
                    yield typed.partition("'")[0] if found[1] == "'" else typed


LINES = [(page.name, line) for page in PAGES for line in command_lines(page.read_text())]


@pytest.mark.parametrize(("page", "line"), LINES)
def test_what_the_documentation_types_exists(page: str, line: str) -> None:
    """Command, options and required ones; values are not looked at."""
    words = shlex.split(EXPRESSION.sub("X", line).partition("  #")[0].replace("; ", " ; "))
    end = next((at for at, word in enumerate(words) if word in ENDS or word == "--"), len(words))
    command: Any = typer.main.get_command(make_app())
    words = words[:end]
    while hasattr(command, "commands") and words and not words[0].startswith("-"):
        assert words[0] in command.commands, f"{page}: no command in `greenroom {line}`"
        command, words = command.commands[words[0]], words[1:]

    given = {word.partition("=")[0] for word in words if word.startswith("-") and len(word) > 1}
    known = {option for one in command.params for option in (*one.opts, *one.secondary_opts)} | {"--help", "-h"}
    assert given <= known, f"{page}: {sorted(given - known)} in `greenroom {line}`"
    needed = [one for one in command.params if one.required and one.param_type_name == "option"]
    missing = [one.name for one in needed if one.name not in BY_VARIABLE and not given & set(one.opts)]
    assert not missing, f"{page}: {missing} in `greenroom {line}`"


def test_the_recipes_are_yaml_and_ask_before_they_deploy() -> None:
    """Every block parses; in each pipeline the last thing before the production deployment is the gate."""
    text = (ROOT / "docs" / "recipes.md").read_text()
    blocks = [block for language, block in FENCE.findall(text) if language == "yaml"]
    documents = [yaml.safe_load(block) for block in blocks]
    pipelines = [list(command_lines(f"```{language}\n{block}```")) for language, block in FENCE.findall(text)]
    deploying = [lines for lines in pipelines if any("run --environment production" in line for line in lines)]

    assert all(isinstance(document, dict) for document in documents)
    assert len(documents) == 4
    assert len(deploying) == 4
    for lines in deploying:
        at = next(at for at, line in enumerate(lines) if line.startswith("deployment run --environment production"))
        assert lines[at - 1].startswith("gate permit --environment production")


def test_enough_is_looked_at() -> None:
    """The pages that show command lines are found."""
    assert {"README.md", "cli.md", "recipes.md"} <= {page for page, _ in LINES}
    assert len(LINES) > 40
