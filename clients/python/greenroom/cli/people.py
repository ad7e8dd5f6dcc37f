"""Who did something, by name where this token may know names."""

from functools import cached_property
from typing import Any

from greenroom.cli.errors import CommandError
from greenroom.cli.session import Session


class People:
    """Names the actors of audit events, which the log names by kind and id of their token."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def name(self, actor: str) -> str:
        """`Ada (manager)`, or the kind and the beginning of the id."""
        kind, _, token_id = actor.partition(":")
        name = self._names.get(token_id)
        if name is not None:
            return f"{name} ({kind})"
        return f"{kind} {token_id[:8]}" if token_id else kind

    @cached_property
    def _names(self) -> dict[str, str]:
        me = self._session.whoami
        names = {me["token_id"]: me["name"]}
        if "tokens.read" in me["permissions"] and me["projects"] is None and me["environments"] is None:
            names |= {one["id"]: one["name"] for one in self._tokens()}
        return names

    def _tokens(self) -> list[dict[str, Any]]:
        try:
            items: list[dict[str, Any]] = self._session.api.pages("/api/v1/tokens", limit=1000)["items"]
        except CommandError:
            return []  # a name is not worth an error
        return items
