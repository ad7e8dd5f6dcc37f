"""docs/errors.md and docs/configuration.md name every error code and every setting, and no others."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import greenroom_server
import greenroom_server.app
from greenroom.evaluation import reasons
from greenroom_server.database.cluster_home import EmbeddedDatabaseError
from greenroom_server.errors import GreenroomError
from greenroom_server.settings import Settings
from greenroom_server.web.problems import status_of

DOCS: Final = Path(__file__).parents[3] / "docs"
# An evaluation that gives an error answers with the engine's code in small letters.
OF_THE_ENGINE: Final = {reasons.PARSE_ERROR, reasons.TARGETING_KEY_MISSING, reasons.GENERAL}
_ROW: Final = re.compile(r"^\| `([A-Za-z_]+)` \| ([^|]*) \|")


def test_every_error_code_is_documented() -> None:
    """The table holds exactly the codes that the server can answer with."""
    codes = {kind.code for kind in _kinds(GreenroomError) if kind is not EmbeddedDatabaseError}
    codes |= {code for source in _sources() for code in _literal_codes(source)} - {EmbeddedDatabaseError.code}
    codes |= {code.lower() for code in OF_THE_ENGINE}
    assert set(_table("errors.md")) == codes


def test_documented_statuses_are_those_of_the_errors() -> None:
    """A class of errors has the HTTP number that the table says."""
    documented = _table("errors.md")
    for kind in _kinds(GreenroomError):
        if kind is not EmbeddedDatabaseError:
            made = kind.__new__(kind)
            assert documented[kind.code] == str(status_of(made)), kind


def test_every_setting_is_documented_with_its_default() -> None:
    """The table holds exactly the variables that are read, each with the default it has."""
    expected = {}
    for name, field in Settings.model_fields.items():
        variable = "OTEL_EXPORTER_OTLP_ENDPOINT" if name == "otel_endpoint" else f"GREENROOM_{name.upper()}"
        expected[variable] = _default_text(field.default)
    assert _table("configuration.md") == expected


def _default_text(default: Any) -> str:
    if default is None or default == ():
        return "none"
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    return f"`{','.join(map(str, default)) if isinstance(default, tuple) else default}`"


def _table(name: str) -> dict[str, str]:
    lines = (DOCS / name).read_text("utf-8").splitlines()
    return {found[1]: found[2].strip() for line in lines if (found := _ROW.match(line))}


def _kinds(kind: type[GreenroomError]) -> Iterator[type[GreenroomError]]:
    yield kind
    for inner in kind.__subclasses__():
        if inner.__module__.startswith("greenroom_server."):
            yield from _kinds(inner)


def _sources() -> Iterator[ast.Module]:
    package = Path(greenroom_server.__file__).parent
    for file in package.rglob("*.py"):
        if not file.is_relative_to(package / "policy"):  # the codes in there are of findings, and not of errors
            yield ast.parse(file.read_text("utf-8"))


def _literal_codes(source: ast.Module) -> Iterator[str]:
    """What is given as `code=`, or assigned to a member called so."""
    for node in ast.walk(source):
        is_given = isinstance(node, ast.keyword) and node.arg == "code"
        is_assigned = isinstance(node, ast.Assign) and any(_is_code(target) for target in node.targets)
        value = getattr(node, "value", None) if is_given or is_assigned else None
        if isinstance(value, ast.Constant) and isinstance(value.value, str):
            yield value.value


def _is_code(target: ast.expr) -> bool:
    return (isinstance(target, ast.Attribute) and target.attr == "code") or (
        isinstance(target, ast.Name) and target.id == "code"
    )
