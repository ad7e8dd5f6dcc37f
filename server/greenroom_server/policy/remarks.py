"""What is wrong or doubtful in a policy document, and where."""

from collections.abc import Sequence
from typing import Literal, NamedTuple


class Remark(NamedTuple):
    """`path` is a JSON Pointer into the document. An `error` refuses it; a `warning` is only told."""

    path: str
    message: str
    severity: Literal["error", "warning"] = "error"


class PolicyRefused(ValueError):
    """The document is no policy; `remarks` are all errors that were found."""

    def __init__(self, remarks: Sequence[Remark]) -> None:
        self.remarks = tuple(remarks)
        super().__init__("; ".join(f"{one.path or '/'}: {one.message}" for one in self.remarks))


def path_of(*parts: str | int) -> str:
    """The JSON Pointer of a member."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in parts)
