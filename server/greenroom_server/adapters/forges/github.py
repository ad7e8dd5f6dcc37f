"""GitHub's custom deployment protection rules: a GitHub App is asked by webhook, and reviews the deployment.

The shapes are those of the webhook `deployment_protection_rule` (action `requested`) and of "Review custom deployment
protection rules for a workflow run" in GitHub's REST description. A review without a `state` is a status note, of which
GitHub takes ten; a job waits 30 days at most. The webhook names a commit and no artifact.
"""

import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from greenroom_server.adapters.forges.asked import (
    Account,
    Ask,
    Asked,
    NoAccess,
    Unreadable,
    Verdict,
    document_of,
    text_of,
)
from greenroom_server.webhooks.client import Answered, Question

URL: Final = "https://api.github.com"
SIGNATURE: Final = "x-hub-signature-256"
EVENT: Final = "x-github-event"
# A day before GitHub lets the job fail: then there is a reason to read.
LIFETIME: Final = timedelta(days=29)
_COMMIT: Final = "[0-9a-f]{40}|[0-9a-f]{64}"
# GitHub refuses a token for longer than ten minutes, and one from its future.
_TOKEN_FOR: Final = timedelta(minutes=9)
_SKEW: Final = timedelta(seconds=60)
_REUSED_UNTIL: Final = timedelta(minutes=5)


def is_signed(secret: str, body: bytes, header: str | None) -> bool:
    """Whether `X-Hub-Signature-256` is of this body by this secret."""
    expected = "sha256=" + hmac.digest(secret.encode(), body, hashlib.sha256).hex()
    return header is not None and hmac.compare_digest(expected.encode(), header.encode("utf-8", "surrogateescape"))


def read(event: str | None, body: bytes, url: str) -> Asked | None:
    """What is asked; None for events that ask nothing. `url` is where GitHub's API is; raises `Unreadable`."""
    if event != "deployment_protection_rule":
        return None
    document = document_of(body)
    if text_of(document, "action") != "requested":
        return None
    callback = text_of(document, "deployment_callback_url")
    # The answer carries a token: it goes nowhere but to GitHub.
    if not callback.startswith(f"{url}/repos/"):
        raise Unreadable(f"`deployment_callback_url` does not begin with `{url}/repos/`")
    environment = text_of(document, "environment")
    return Asked(
        ticket=f"{text_of(document, 'deployment', 'id')} {callback.removeprefix(url)}",
        environment=environment,
        lifetime=LIFETIME,
        commit=text_of(document, "deployment", "sha", pattern=_COMMIT),
        reply={
            "callback": callback,
            "environment": environment,
            "installation": text_of(document, "installation", "id", pattern="[0-9]{1,20}"),
        },
    )


class GitHub:
    """Reviews as the GitHub App whose id is the account's name and whose private key (PEM) is the credential."""

    max_comment = 1024
    max_notes = 10

    def __init__(self) -> None:
        self._tokens: dict[tuple[str, str, str], tuple[str, datetime]] = {}

    async def headers(self, account: Account, reply: Mapping[str, str], ask: Ask, now: datetime) -> dict[str, str]:
        """A token of the App's installation: asked for once, and used again until shortly before it ends."""
        key = (account.url, account.name, reply["installation"])
        token, until = self._tokens.get(key, ("", now))
        if now >= until - _REUSED_UNTIL:
            token, until = await _installation_token(account, reply["installation"], ask, now)
            self._tokens[key] = (token, until)
        return _headers(token)

    def answer(self, account: Account, reply: Mapping[str, str], verdict: Verdict, comment: str) -> tuple[str, Any]:
        state = "approved" if verdict == "allow" else "rejected"
        return reply["callback"], {"environment_name": reply["environment"], "state": state, "comment": comment}

    def note(self, reply: Mapping[str, str], comment: str) -> tuple[str, Any] | None:
        return reply["callback"], {"environment_name": reply["environment"], "comment": comment}


async def _installation_token(account: Account, installation: str, ask: Ask, now: datetime) -> tuple[str, datetime]:
    url = f"{account.url}/app/installations/{installation}/access_tokens"
    answered = await ask(Question("POST", url, _headers(_app_token(account, now)), b"{}"))
    if answered.status != 201:
        raise NoAccess(answered)
    try:
        made = document_of(answered.body)
        return text_of(made, "token"), datetime.fromisoformat(text_of(made, "expires_at"))
    except ValueError:
        raise NoAccess(Answered(problem="protocol")) from None


def _app_token(account: Account, now: datetime) -> str:
    import jwt  # it loads cryptography, which a server without GitHub does not need

    claims = {"iat": now - _SKEW, "exp": now + _TOKEN_FOR, "iss": account.name}
    try:
        return jwt.encode(claims, account.credential, algorithm="RS256")
    except (jwt.PyJWTError, ValueError, TypeError):
        raise ValueError("the credential is no RSA private key (PEM)") from None


def _headers(token: str) -> dict[str, str]:
    return {
        "Accept": "application/vnd.github+json",
        "Authorization": f"Bearer {token}",
        "Content-Type": "application/json",
        "X-GitHub-Api-Version": "2022-11-28",
    }
