"""`greenroom tail`: who is served what, as applications report it."""

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final

import typer
from rich.text import Text

from greenroom.cli import complete
from greenroom.cli.command import Needs, command
from greenroom.cli.errors import Unreachable
from greenroom.cli.screen import visible
from greenroom.cli.session import Session
from greenroom.cli.times import shown
from greenroom.cli.watch import EVERY_S, Count

LATE: Final = timedelta(minutes=2)
LOOK_BACK_EVERY: Final = 15
PAGE: Final = 200

Exposure = dict[str, Any]
Fetch = Callable[[str], list[Exposure]]


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "tail", needs=Needs.ENVIRONMENT)(tail)


def tail(
    session: Session,
    flag: Annotated[
        str | None, typer.Argument(help="Only this flag; all, if left out.", autocompletion=complete.flags)
    ] = None,
    last: Annotated[int, typer.Option(min=0, max=PAGE, help="Begin with so many of the last hour.")] = 10,
    follow: Annotated[bool, typer.Option("--follow/--no-follow", help="Go on, or end with these.")] = True,
    count: Count = None,
) -> None:
    """Show who is served what, of flags with `track_exposures: subjects`, as applications report it.

    They report every ten seconds or so. Targeting keys are about people: in production this takes a token that may see
    them. With `--json`, one object a line.
    """
    path = session.environment_path("exposures")
    if flag is not None:
        _warn_if_untracked(session, flag)
    first = session.api.get(path, flag=flag, limit=last).body["items"] if last else []
    for one in first:
        _show(session, one)
    if not follow:
        return
    session.screen.say(f"following {session.project}/{session.environment} (Ctrl-C ends it)")

    def fetch(after: str) -> list[Exposure]:
        items: list[Exposure] = session.api.get(path, flag=flag, after=after, limit=PAGE).body["items"]
        return items

    follower = Follower(fetch, first)
    number = 0
    while True:
        for one in _patiently(session, follower):
            _show(session, one)
            number += 1
            if number == count:
                return
        time.sleep(EVERY_S)


class Follower:
    """What is new since it was last asked. Reports come late, so now and then it looks back for what came after.

    `known` are exposures that were shown before.
    """

    def __init__(self, fetch: Fetch, known: list[Exposure], now: datetime | None = None) -> None:
        self._fetch = fetch
        self._newest = max((one["id"] for one in known), default=lowest_id(now or datetime.now(UTC)))
        self._seen = {one["id"] for one in self._pages(self._window)} | {one["id"] for one in known}
        self._newest = max(self._seen | {self._newest})
        self._turn = 0

    def news(self) -> Iterator[Exposure]:
        """What nobody was shown yet, in the order of ids."""
        self._turn += 1
        is_looking_back = self._turn % LOOK_BACK_EVERY == 0
        for one in self._pages(self._window if is_looking_back else self._newest):
            if one["id"] not in self._seen:
                self._seen.add(one["id"])
                self._newest = max(self._newest, one["id"])
                yield one
        if is_looking_back:
            oldest = self._window
            self._seen = {one for one in self._seen if one > oldest}

    @property
    def _window(self) -> str:
        """Where to look back to; ids begin with the milliseconds since 1970."""
        made_ms = int(self._newest[:8] + self._newest[9:13], 16)
        return _id_at(max(0, made_ms - int(LATE.total_seconds() * 1000)))

    def _pages(self, after: str) -> Iterator[Exposure]:
        while True:
            page = self._fetch(after)
            yield from page
            if len(page) < PAGE:
                return
            after = page[-1]["id"]


def lowest_id(moment: datetime) -> str:
    """Not above any id of version 7 that is made from then on."""
    return _id_at(int(moment.timestamp() * 1000))


def _id_at(milliseconds: int) -> str:
    text = f"{milliseconds:012x}"
    return f"{text[:8]}-{text[8:]}-7000-8000-000000000000"


def _patiently(session: Session, follower: Follower) -> Iterator[Exposure]:
    try:
        yield from follower.news()
    except Unreachable as error:
        session.screen.warn(f"{error.detail}; trying again")


def _warn_if_untracked(session: Session, flag: str) -> None:
    tracked = session.api.get(session.project_path("flags", flag)).body["track_exposures"]
    if tracked != "subjects":
        session.screen.warn(
            f"`{flag}` has `track_exposures: {tracked}`: nobody is reported by name; `greenroom exposures` has numbers"
        )


def _show(session: Session, one: Exposure) -> None:
    screen = session.screen
    if screen.is_json:
        screen.json(one, is_line=True)
    elif screen.is_quiet:
        screen.line(one["targeting_key"])
    else:
        columns = f"{shown(one['at'])}  {one['flag']}  "
        screen.show(
            Text.assemble(visible(columns), (visible(one["variant"]), "bold"), f"  {visible(one['targeting_key'])}")
        )
