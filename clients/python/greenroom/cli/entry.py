"""The console script `greenroom`."""

import sys
from io import TextIOWrapper
from typing import Final, NoReturn

_EXTRA: Final = frozenset({"typer", "rich", "httpx"})
_INTERRUPTED: Final = 130
_NO_EXTRA: Final = 2


def main() -> NoReturn:
    """Run the command line; what it depends on is imported only now, so that a missing extra is told in words."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # where the locale has no `✓`
    try:
        from greenroom.cli.app import make_app

        make_app()()
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing not in _EXTRA:
            raise
        _end(f"greenroom: `{missing}` is missing: pip install 'greenroom[cli]'", _NO_EXTRA)
    except KeyboardInterrupt:
        _end("", _INTERRUPTED)
    sys.exit(0)


def _end(text: str, code: int) -> NoReturn:
    if text:
        sys.stderr.write(text + "\n")
    sys.exit(code)
