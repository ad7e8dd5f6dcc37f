"""Source text under construction, and the objects that it works on.

INVARIANT: text of a user never becomes source. The source consists of fixed fragments, small integers and the names
`k0, k1, ...` of bound objects; attribute names, variants, operands and evaluations are all bound objects. Flags of the
same shape therefore have the same source and share its compiled code (ADR 0003).
"""

from functools import lru_cache
from typing import Any

from greenroom.evaluation.attributes import attribute_of

MAX_SHARED_SOURCES = 512


class Source:
    """Lines of a function `program(c, now)`, and what its names are bound to."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._names: dict[int, str] = {}
        self._bound: list[Any] = []
        self._locals: dict[str, str] = {}
        self._is_read: set[str] = set()

    def line(self, level: int, text: str) -> None:
        """Add a line to the body."""
        self.lines.append(f"{'  ' * (level + 2)}{text}")

    def bind(self, value: Any) -> str:
        """The name under which the function finds an object."""
        name = self._names.get(id(value))
        if name is None:
            name = self._names[id(value)] = f"k{len(self._bound)}"
            self._bound.append(value)
        return name

    def read_early(self, attribute: str) -> None:
        """Read an attribute here, into a local that everything below uses."""
        self.line(0, f"{self.local(attribute)} = {self._look_up(attribute)}")
        self._is_read.add(attribute)

    def local(self, attribute: str) -> str:
        """The local that holds an attribute once it has been read."""
        return self._locals.setdefault(attribute, f"a{len(self._locals)}")

    def reading(self, attribute: str) -> str:
        """An expression for an attribute's value; afterwards `local` holds it."""
        local = self.local(attribute)
        return local if attribute in self._is_read else f"({local} := {self._look_up(attribute)})"

    def _look_up(self, attribute: str) -> str:
        if "." in attribute:
            return f"{self.bind(attribute_of)}(c, {self.bind(attribute)})"
        return f"c.get({self.bind(attribute)})"

    def function(self) -> Any:
        """The finished function."""
        names = ", ".join(f"k{index}" for index in range(len(self._bound)))
        body = "\n".join(self.lines)
        return _factory(f"def make({names}):\n  def program(c, now):\n{body}\n  return program\n")(*self._bound)


@lru_cache(maxsize=MAX_SHARED_SOURCES)
def _factory(source: str) -> Any:
    namespace: dict[str, Any] = {}
    exec(compile(source, "<flag>", "exec"), namespace)  # noqa: S102  see the invariant above
    return namespace["make"]
