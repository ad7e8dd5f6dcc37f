"""A project as one file: `export`, `import` and `apply`."""

import sys
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import typer

from greenroom.cli.asking import Consent, DryRun, Proposal, Yes, carry_out
from greenroom.cli.command import Needs, command
from greenroom.cli.differences import lines
from greenroom.cli.errors import ChangesPending, UsageError
from greenroom.cli.files import read_bytes
from greenroom.cli.session import Session

JSON: Final = "application/json"
YAML: Final = "application/yaml"
_IMPORT = "/api/v1/import"

File = Annotated[Path, typer.Option("--file", "-f", help="The document, JSON or YAML; `-` is standard input.")]


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    command(app, "export")(export_project)
    command(app, "import", needs=Needs.SERVER)(import_project)
    command(app, "apply", needs=Needs.SERVER)(apply_project)


def export_project(
    session: Session,
    format: Annotated[Literal["json", "yaml"], typer.Option(help="How it is written.")] = "yaml",  # noqa: A002
    output: Annotated[Path | None, typer.Option("--output", "-o", help="A file, else standard output.")] = None,
) -> None:
    """Write the whole project as one document, which `import` and `apply` take."""
    wanted = "json" if session.screen.is_json else format
    with session.screen.working(f"exporting {session.project}"):
        media_type = JSON if wanted == "json" else YAML
        text = session.api.text(session.project_path("export"), media_type, format=wanted)
    if output is None:
        sys.stdout.write(text if text.endswith("\n") else f"{text}\n")
        return
    try:
        output.write_text(text, "utf-8")
    except OSError as error:
        raise UsageError(f"{output} cannot be written: {error.strerror}") from None
    session.screen.say(f"{session.project} is in {output}")


def import_project(session: Session, file: File, yes: Yes = False, dry_run: DryRun = False) -> None:
    """Make a project what a document says, a new one too. What the document does not name stays as it is."""
    document, media_type = read_document(file)

    def make(dry_run: bool) -> Any:
        with session.screen.working("importing"):
            return session.api.create(_IMPORT, document, dry_run=dry_run, media_type=media_type).body

    body = carry_out(session, Proposal("import the project", make, is_versioned=False), Consent(yes, dry_run))
    if not dry_run:
        counts = ", ".join(f"{len(body[noun])} {noun}" for noun in ("environments", "segments", "flags"))
        session.screen.result(body, f"imported `{body['project']['key']}`: {counts}", keys=[body["project"]["key"]])


def apply_project(
    session: Session,
    file: File,
    check: Annotated[bool, typer.Option("--check", help="Change nothing; end with 5 if something differs.")] = False,
    yes: Yes = False,
    dry_run: DryRun = False,
) -> None:
    """Bring a project to what a document in your repository says: show the difference, ask, make it so.

    With `--check` it only looks, for pipelines: exit code 0 if nothing differs, 5 if something does.
    """
    if check:
        _check(session, file)
    else:
        import_project(session, file, yes, dry_run)


def _check(session: Session, file: Path) -> None:
    document, media_type = read_document(file)
    looked = session.api.create(_IMPORT, document, dry_run=True, media_type=media_type).body
    session.screen.result(looked, lines(looked["changes"]), keys=[one["path"] for one in looked["changes"]])
    number = len(looked["changes"])
    if number:
        raise ChangesPending(f"{number} {'difference' if number == 1 else 'differences'} between file and project")
    session.screen.say("nothing differs")


def read_document(file: Path) -> tuple[bytes, str]:
    """What is in the file, and the media type that it looks like. Raises UsageError."""
    content = read_bytes(file)
    # JSON begins with a brace; YAML may too, and reads JSON.
    is_json = content.lstrip()[:1] == b"{" and file.suffix not in (".yaml", ".yml")
    return content, JSON if is_json else YAML
