"""Logging in and out: `login`, `logout`, `whoami` and `profiles`."""

import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from greenroom.cli import complete
from greenroom.cli.api import Api, path_of
from greenroom.cli.command import Needs, command
from greenroom.cli.errors import CommandError, UsageError
from greenroom.cli.place import TOKEN, URL, checked_token, checked_url, goes_in_clear, profile_name
from greenroom.cli.profiles import Profile
from greenroom.cli.screen import facts, table
from greenroom.cli.session import Session

_MAX_TOKEN = 4096

TokenFile = Annotated[
    Path | None,
    typer.Option("--token-file", metavar="FILE", help="Read the token from this file; `-` is standard input."),
]

group = typer.Typer(help="The stored logins.", no_args_is_help=True)


def add_to(app: typer.Typer) -> None:
    """Add the commands that belong to no group."""
    command(app, "login", needs=Needs.ENVIRONMENT)(log_in)
    command(app, "setup", needs=Needs.SERVER)(set_up)
    command(app, "logout", needs=Needs.SERVER)(log_out)
    command(app, "whoami", needs=Needs.SERVER)(show_whoami)
    app.add_typer(group, name="profiles")


def log_in(session: Session, token_file: TokenFile = None) -> None:
    """Store a server's address and a token, once the server has taken the token.

    The token is asked for without being shown, or read from standard input or a file; never from the command line,
    which others can see. The profile becomes the one that is used when none is named.
    """
    url = _server(session)
    _store(session, url, checked_token(_read_token(session, token_file)))


def set_up(
    session: Session,
    name: Annotated[str, typer.Option(help="Whose token it becomes.")] = "first administrator",
    token_file: TokenFile = None,
) -> None:
    """Trade the set-up token of a new server, which it prints when it starts, for the first administrator's token.

    That is stored as by `greenroom login`, and only shown if it cannot be stored.
    """
    url = _server(session)
    setup_token = checked_token(_read_token(session, token_file))
    with session.api_at(url, setup_token) as api:
        made = api.change("POST", "/api/v1/setup", {"setup_token": setup_token, "name": name}).body
    _keep(session, Profile(url, str(made["token"])))
    _store(session, url, str(made["token"]))


def _keep(session: Session, profile: Profile) -> None:
    """Before anything else may go wrong: this token cannot be had again."""
    try:
        session.profiles.save(profile_name(session.asked, session.profiles), profile)
    except CommandError as error:
        session.screen.line(profile.token)
        raise CommandError(f"{error.detail}; keep the administrator's token, which is printed this once") from None


def _server(session: Session) -> str:
    url = checked_url(session.asked.url or os.environ.get(URL) or _asked_for_url(session))
    if goes_in_clear(url):
        session.screen.warn(f"{url} is not encrypted: whoever is on the way can read the token")
    return url


def _store(session: Session, url: str, token: str) -> None:
    """Store the token, if the server takes it, and say whose it is."""
    asked, screen = session.asked, session.screen
    name = profile_name(asked, session.profiles)
    with session.api_at(url, token) as api:
        whoami: dict[str, Any] = api.get("/api/v1/whoami").body
        project = asked.project or whoami["project"] or _only_project(api, whoami)
    profile = Profile(url, token, project, asked.environment or whoami["environment"])
    path = session.profiles.save(name, profile)
    session.profiles.use(name)
    screen.result(whoami, f"logged in to {url} as `{whoami['name']}` ({whoami['kind']}), profile `{name}`")
    screen.say(f"stored in {path}")
    if project is not None:
        screen.say(f"project `{project}` is meant where none is named")
    if os.environ.get(TOKEN):
        screen.warn(f"{TOKEN} is set, and wins over the stored token")


def log_out(session: Session) -> None:
    """Forget a stored login. The token stays valid: `greenroom tokens revoke` ends it."""
    name = profile_name(session.asked, session.profiles)
    if not session.profiles.remove(name):
        raise CommandError(f"there is no profile `{name}`", hint="`greenroom profiles list` shows them")
    session.screen.result({"profile": name}, f"the profile `{name}` is forgotten; its token stays valid")


def show_whoami(session: Session) -> None:
    """Show whose token this is and what it may do."""
    body = session.whoami
    pairs = {
        "name": body["name"],
        "kind": body["kind"],
        "server": session.place.url,
        "profile": session.place.profile,
        "projects": "all" if body["projects"] is None else ", ".join(body["projects"]),
        "environments": "all" if body["environments"] is None else ", ".join(body["environments"]),
        "SDK key of": None if body["project"] is None else f"{body['project']}/{body['environment']}",
        "expires": body["expires_at"],
        "may": ", ".join(body["permissions"]),
    }
    session.screen.result(body, facts(pairs), keys=[body["name"]])


@command(group, "list", needs=Needs.SERVER)
def list_profiles(session: Session) -> None:
    """List the stored logins, never their tokens."""
    current = profile_name(session.asked, session.profiles)
    found = [(name, session.profiles.find(name)) for name in session.profiles.names()]
    items = [
        {
            "name": name,
            "current": name == current,
            "url": one.url,
            "project": one.project,
            "environment": one.environment,
        }
        for name, one in found
        if one is not None
    ]
    rows = [["*" if one["current"] else "", *(one[name] for name in _COLUMNS)] for one in items]
    session.screen.result({"items": items}, table(["", *_COLUMNS], rows), keys=[str(one["name"]) for one in items])


@command(group, "use", needs=Needs.SERVER)
def use_profile(
    session: Session, name: Annotated[str, typer.Argument(help="The profile.", autocompletion=complete.profiles)]
) -> None:
    """Make a profile the one that is used when none is named."""
    if session.profiles.find(name) is None:
        raise CommandError(f"there is no profile `{name}`", hint="`greenroom profiles list` shows them")
    session.profiles.use(name)
    session.screen.result({"profile": name}, f"`{name}` is used where no profile is named")


_COLUMNS = ("name", "url", "project", "environment")


def _asked_for_url(session: Session) -> str:
    if not session.screen.can_ask:
        raise UsageError("which server?", hint=f"`--url https://greenroom.example`, or set {URL}")
    return session.screen.ask("URL of the server")


def _read_token(session: Session, file: Path | None) -> str:
    if file is not None and str(file) != "-":
        try:
            with file.open(encoding="utf-8") as opened:
                return opened.read(_MAX_TOKEN)
        except (OSError, ValueError) as error:
            raise UsageError(f"the token cannot be read from {file}: {error}") from None
    if file is None and sys.stdin.isatty():
        return session.screen.ask("Token", is_hidden=True)
    return sys.stdin.readline(_MAX_TOKEN)


def _only_project(api: Api, whoami: dict[str, Any]) -> str | None:
    if "projects.read" not in whoami["permissions"]:
        return None
    items = api.get(path_of("projects"), limit=2).body["items"]
    return str(items[0]["key"]) if len(items) == 1 else None
