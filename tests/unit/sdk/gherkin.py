"""As much of Gherkin as OpenFeature's suites use: scenarios, a background, outlines with tables of examples."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

_WORDS = ("Given ", "When ", "Then ", "And ", "But ")


@dataclass(frozen=True)
class Scenario:
    """One scenario, an outline's example already filled in."""

    name: str
    steps: tuple[str, ...]

    def __str__(self) -> str:
        return self.name


def scenarios(path: Path) -> Iterator[Scenario]:
    """All scenarios of a feature, each with the steps of the background before its own."""
    background: tuple[str, ...] = ()
    name, steps, header, number, is_outline = "", list[str](), list[str](), 0, False
    for line in [*path.read_text().splitlines(), "Scenario: (end)"]:
        text = line.strip()
        if text.startswith(("Scenario", "Background")):
            if name == "Background":
                background = tuple(steps)
            elif name and not is_outline:
                yield Scenario(name, (*background, *steps))
            is_outline = text.startswith("Scenario Outline")
            name = text.partition(":")[2].strip() or "Background"
            steps, header, number = [], [], 0
        elif text.startswith("Examples"):
            header = []
        elif text.startswith("|") and is_outline:
            cells = [cell.strip() for cell in text.strip("|").split("|")]
            if not header:
                header = cells
                continue
            number += 1
            filled = Scenario(f"{name} {number}", (*background, *steps))
            yield _filled(filled, dict(zip(header, cells, strict=True)))
        elif text.startswith(_WORDS):
            steps.append(text.partition(" ")[2])


def _filled(outline: Scenario, example: dict[str, str]) -> Scenario:
    steps = list(outline.steps)
    for name, value in example.items():
        steps = [step.replace(f"<{name}>", value) for step in steps]
    return replace(outline, steps=tuple(steps))
