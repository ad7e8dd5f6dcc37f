"""`greenroom build`: tell what was built, and what is in it, as git knows it."""

import os
import re
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from greenroom.cli import git
from greenroom.cli.arguments import Limit
from greenroom.cli.command import command
from greenroom.cli.errors import UsageError
from greenroom.cli.pipeline_run import this_run
from greenroom.cli.screen import table
from greenroom.cli.session import Session
from greenroom.cli.subject import DIGEST, Service, checked_digest, digest_of, full_commit
from greenroom.cli.times import shown

group = typer.Typer(help="Builds: artifacts, their commits and stories.", no_args_is_help=True)

NO_PARENT: Final = "none"
STORY_PATTERN: Final = r"\b[A-Z][A-Z0-9]+-[0-9]+\b"
_MAX_COMMITS: Final = 1_000
_LOOKED_AT: Final = 50

Digests = Annotated[
    list[str] | None, typer.Option("--digest", metavar="SHA256", help=f"A digest; repeat it for more. Else {DIGEST}.")
]


@command(group, "register")
def register_build(
    session: Session,
    service: Service,
    digest: Digests = None,
    artifact: Annotated[
        list[Path] | None, typer.Option(metavar="FILE", help="Take the digest of this file; repeat it for more.")
    ] = None,
    commit: Annotated[
        str | None, typer.Option(metavar="REV", help="What it is built from; the pipeline's commit, or `HEAD`.")
    ] = None,
    parent: Annotated[
        str | None,
        typer.Option(
            metavar="REV|SHA256|none",
            help="The build that it grew from; the newest registered one among the ancestors, if left out.",
        ),
    ] = None,
    branch: Annotated[str | None, typer.Option(help="The branch; the pipeline's, or the one checked out.")] = None,
    story: Annotated[list[str] | None, typer.Option(help="A story that it works on; repeat it for more.")] = None,
    story_pattern: Annotated[
        str, typer.Option(metavar="REGEX", help="What keys of stories in commit messages look like.")
    ] = STORY_PATTERN,
    triggered_by: Annotated[str | None, typer.Option(metavar="PERSON", help="Who had it built.")] = None,
    link: Annotated[str | None, typer.Option(help="Where people find it; the pipeline's run.")] = None,
) -> None:
    """Register a build with its commits since the one before it, their authors and their stories, out of git.

    The same build again changes nothing.
    """
    run = this_run()
    built_from = full_commit(commit or run.commit or "HEAD")
    grown_from, since = _parent(session, service, built_from, parent)
    known = {
        "branch": branch or run.branch or git.branch(),
        "parent": grown_from,
        "triggered_by": triggered_by or run.person,
        "url": link or run.url,
    }
    body = {
        "digests": _digests(digest, artifact),
        "commit": built_from,
        "commits": _commits(since, built_from, _pattern(story_pattern)),
        "stories": story or [],
        **{name: value for name, value in known.items() if value},
    }
    made = session.api.create(session.project_path("services", service, "builds"), body).body
    stories = sorted({key for one in made["commits"] for key in one["stories"]} | set(made["stories"]))
    grown = "without a parent" if made["parent"] is None else f"grown from {made['parent'][:19]}"
    said = f"{service} {made['digests'][0]['digest'][:19]}: {len(made['commits'])} commits, {grown}"
    session.screen.result(made, said + (f", stories {', '.join(stories)}" if stories else ""), keys=[_first(made)])


@command(group, "list")
def list_builds(
    session: Session,
    service: Service,
    commit: Annotated[str | None, typer.Option(metavar="REV", help="Only of this commit.")] = None,
    limit: Limit = 20,
) -> None:
    """List the builds of a service that were registered, newest first."""
    wanted = None if commit is None else full_commit(commit)
    page = session.api.pages(session.project_path("services", service, "builds"), limit=limit, commit=wanted)
    rows = [
        [_first(one), one["commit"][:12], one["branch"], len(one["commits"]), shown(one["registered_at"])]
        for one in page["items"]
    ]
    columns = ("digest", "commit", "branch", "commits", "registered")
    session.screen.result(page, table(columns, rows), keys=[_first(one) for one in page["items"]])


def _digests(given: list[str] | None, files: list[Path] | None) -> list[str]:
    found = [checked_digest(one) for one in given or []] + [digest_of(one) for one in files or []]
    if not found and os.environ.get(DIGEST):
        found = [checked_digest(os.environ[DIGEST])]
    if not found:
        raise UsageError("which build?", hint=f"`--digest sha256:…`, `--artifact FILE`, or set {DIGEST}")
    return list(dict.fromkeys(found))


def _parent(session: Session, service: str, commit: str, given: str | None) -> tuple[str | None, str | None]:
    """The parent as the build names it, and the commit of it, since which the log is read."""
    if given == NO_PARENT:
        return None, None
    path = session.project_path("services", service, "builds")
    if given is None:
        newest: list[dict[str, Any]] = session.api.pages(path, limit=_LOOKED_AT)["items"]
        for one in newest:
            if one["commit"] != commit and git.is_ancestor(one["commit"], commit):
                return _first(one), one["commit"]
        if any(one["commit"] != commit for one in newest):
            session.screen.warn(
                f"no earlier build of `{service}` is an ancestor of {commit[:12]}, so only this commit is told: is all"
                " of the history fetched?"
            )
        return None, None
    if given.startswith("sha256:"):
        digest = checked_digest(given)
        return digest, str(session.api.get(f"{path}/{digest}").body["commit"])
    return (known := full_commit(given)), known


def _commits(parent: str | None, commit: str, pattern: re.Pattern[str]) -> list[dict[str, Any]]:
    return [
        {
            "id": one.id,
            "authors": list(one.authors),
            "stories": list(dict.fromkeys(found.group() for found in pattern.finditer(one.message))),
        }
        for one in git.log_between(parent, commit, most=_MAX_COMMITS)
    ]


def _pattern(text: str) -> re.Pattern[str]:
    try:
        return re.compile(text)
    except re.error as error:
        raise UsageError(f"`{text}` is no regular expression: {error}") from None


def _first(build: dict[str, Any]) -> str:
    return str(build["digests"][0]["digest"])
