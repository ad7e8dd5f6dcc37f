"""Arguments and options that several commands have."""

from typing import Annotated

import typer

from greenroom.cli import complete

FlagKey = Annotated[str, typer.Argument(help="The flag's key.", autocompletion=complete.flags)]
SegmentKey = Annotated[str, typer.Argument(help="The segment's key.", autocompletion=complete.segments)]
Limit = Annotated[int | None, typer.Option(min=1, help="At most so many; all, if left out.")]
Since = Annotated[
    str | None, typer.Option(metavar="MOMENT", help="From then on: `30m`, `2d` ago, a day, or `2026-01-31T12:00Z`.")
]
Until = Annotated[str | None, typer.Option(metavar="MOMENT", help="Up to then; now, if left out.")]
Slot = Annotated[str | None, typer.Option(help="The slot, where the environment has several.")]
