"""`greenroom watch`: changes as they happen, from the audit log or, with an SDK key, as applications get them."""

import threading
import time
from collections import deque
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.text import Text

from greenroom.cli.audit import event_lines
from greenroom.cli.command import Needs, command
from greenroom.cli.errors import Unreachable
from greenroom.cli.people import People
from greenroom.cli.session import Session

EVERY_S = 1.0
_PAGE = 50

Count = Annotated[int | None, typer.Option("--count", "-n", min=1, help="End after so many; else with Ctrl-C.")]


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "watch", needs=Needs.ENVIRONMENT)(watch)


def watch(session: Session, count: Count = None) -> None:
    """Show changes as they happen: of an environment, or of the whole project if none is named.

    With the token of a person these are the events of the audit log: what, and by whom. With an SDK key it is what
    applications get, the moment they get it: which flags may answer otherwise. With `--json`, one object a line.
    """
    if "snapshot.read" in session.whoami["permissions"]:
        _watch_stream(session, count)
    else:
        _watch_log(session, count)


def _watch_log(session: Session, count: int | None) -> None:
    people = People(session)
    environment = session.place.environment
    where = f"{session.project}/{environment}" if environment else session.project
    session.screen.say(f"watching {where} (Ctrl-C ends it)")
    for number, event in enumerate(_events(session, environment), 1):
        if session.screen.is_json:
            session.screen.json(event, is_line=True)
        elif session.screen.is_quiet:
            session.screen.line(event["target"])
        else:
            for line in event_lines(event, people):
                session.screen.show(line)
        if number == count:
            return


def _events(session: Session, environment: str | None) -> Iterator[dict[str, Any]]:
    """Every event from now on, oldest first, that touches the environment."""
    path = session.project_path("audit")
    newest = session.api.get(path, limit=1).body["items"]
    seen = newest[0]["sequence"] if newest else 0
    while True:
        try:
            found = _since(session, path, seen)
        except Unreachable as error:
            session.screen.warn(f"{error.detail}; trying again")
            found = []
        for event in reversed(found):
            seen = event["sequence"]
            if environment is None or touches(event["target"], environment):
                yield event
        time.sleep(EVERY_S)


def _since(session: Session, path: str, seen: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    cursor = None
    while True:
        page = session.api.get(path, limit=_PAGE, cursor=cursor).body
        fresh = [one for one in page["items"] if one["sequence"] > seen]
        found += fresh
        cursor = page["next_cursor"]
        if len(fresh) < len(page["items"]) or cursor is None:
            return found


def touches(target: str, environment: str) -> bool:
    """Whether a change of this thing may be felt in the environment: its own, or one of all environments."""
    _, is_of_one, rest = target.partition("/environments/")
    return not is_of_one or rest.partition("/")[0] == environment


def _watch_stream(session: Session, count: int | None) -> None:
    from greenroom import Client, Options

    place, screen = session.place, session.screen
    news: deque[tuple[int, list[str]]] = deque()
    arrived = threading.Condition()
    # Who only watches is no instance of an application, and reports nothing.
    with Client(place.url, place.token, Options(exposures=False)) as client:

        def updated(keys: frozenset[str]) -> None:
            with arrived:
                news.append((client.status.revision or 0, sorted(keys)))
                arrived.notify()

        client.on_update(updated)
        client.on_status(lambda status: screen.say(f"{status.state}: {status.cause}") if status.cause else None)
        if not client.wait_ready(10):
            raise Unreachable(f"no flags from {place.url}: {client.status.cause}")
        screen.say(f"watching {client.flag_set} at revision {client.status.revision} (Ctrl-C ends it)")
        shown = 0
        while shown != count:
            with arrived:
                arrived.wait_for(lambda: bool(news))
                revision, keys = news.popleft()
            _show_update(session, revision, keys)
            shown += 1


def _show_update(session: Session, revision: int, keys: list[str]) -> None:
    screen = session.screen
    if screen.is_json:
        screen.json({"revision": revision, "flags": keys}, is_line=True)
    elif screen.is_quiet:
        for key in keys:
            screen.line(key)
    else:
        screen.show(Text(f"{datetime.now(UTC).astimezone():%H:%M:%S}  revision {revision}: {', '.join(keys)}"))
