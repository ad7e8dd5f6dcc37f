"""How bad a finding is, and from when on a run is red."""

from dataclasses import dataclass
from typing import Final, Literal

Level = Literal["error", "warning", "note", "none"]
Severity = Literal["critical", "high", "medium", "low"]

LEVELS: Final[tuple[Level, ...]] = ("error", "warning", "note", "none")
SEVERITIES: Final[tuple[Severity, ...]] = ("critical", "high", "medium", "low")
_LOWEST_SCORES: Final[tuple[tuple[Severity, float], ...]] = (
    ("critical", 9.0),
    ("high", 7.0),
    ("medium", 4.0),
    ("low", 0.1),
)


@dataclass(frozen=True, slots=True)
class Threshold:
    """From which finding on a run is red: by level, or by security severity.

    Results of analysers have a level always and a severity sometimes; vulnerabilities have a severity only, and
    without one here every vulnerability is red.
    """

    level: Level = "error"
    severity: Severity | None = None

    def is_reached_by_level(self, level: Level) -> bool:
        return level != "none" and LEVELS.index(level) <= LEVELS.index(self.level)

    def is_reached_by_severity(self, severity: str) -> bool:
        reaching = SEVERITIES[: SEVERITIES.index(self.severity) + 1] if self.severity else ()
        return severity in reaching


ANY_ERROR: Final = Threshold()


def severity_of_score(score: str | float | None) -> Severity | None:
    """The severity of a CVSS score out of ten, as a number or a text; None below the lowest, or if it is no number."""
    try:
        number = float(score) if score is not None else 0.0
    except ValueError:
        return None
    return next((name for name, lowest in _LOWEST_SCORES if number >= lowest), None)
