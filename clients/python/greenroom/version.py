"""The version of this package, as the SDK tells it to the server."""

from typing import Final

VERSION: Final = "0.1.0"
