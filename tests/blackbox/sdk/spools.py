"""Looks into the spools of applications, while they work with them."""

import os
from pathlib import Path


def files_of_rows(folder: Path) -> list[Path]:
    """The files that hold rows, anywhere below; what is given up during the look is not there any more."""
    found = ((Path(place), names) for place, _, names in os.walk(folder))
    return [place / name for place, names in found for name in names if name.endswith(".rows")]
