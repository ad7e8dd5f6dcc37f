"""Every verb that writes, as a request to a copy of the example, with what has to be there before it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx
from tests.api.stage import Stage

NEW_FLAG = {"key": "brand-new", "purpose": "operational", "type": "boolean"}
NEW_SEGMENT = {"key": "brand-new", "when": {"attribute": "country", "op": "in", "values": ["SE"]}}
NEW_ENVIRONMENT = {"key": "qa", "name": "QA", "tier": "staging"}


@dataclass(frozen=True, slots=True)
class Verb:
    """One write. `action` is what the audit log calls it; `before` names the verb that must have been done.

    In `path` and `body`, `{key}` stands for the project's key and `{token}` for the id of a token made before.
    """

    action: str
    method: str
    path: str
    body: Any = None
    chain: str | None = "{key}"
    creates: bool = False
    before: str | None = None

    def __str__(self) -> str:
        return self.action

    @property
    def takes_version(self) -> bool:
        """Whether it needs `If-Match`."""
        return self.method in ("PATCH", "DELETE") and self.action != "token.revoke"

    async def prepare(self, stage: Stage) -> None:
        if self.before is not None:
            reply = await named(self.before).do(stage)
            assert reply.is_success, reply.text

    async def do(
        self, stage: Stage, headers: Mapping[str, str] | None = None, *, dry_run: bool = False
    ) -> httpx.Response:
        sent = {**({"If-Match": "*"} if self.takes_version else {}), **(headers or {})}
        path = self.path.replace("{key}", stage.key)
        if "{token}" in path:
            path = path.replace("{token}", await _token_of(stage))
        body = _filled(self.body, stage.key)
        query = {"dry_run": "true"} if dry_run else {}
        return await stage.admin.request(self.method, path, json=body, params=query, headers=sent)

    def chain_of(self, stage: Stage) -> str | None:
        return None if self.chain is None else self.chain.replace("{key}", stage.key)


_P = "/api/v1/projects/{key}"
_STAGING, _PRODUCTION = f"{_P}/environments/staging", f"{_P}/environments/production"
_RENAMED = {
    "format": "greenroom.project/1",
    "project": {"key": "{key}", "name": "Renamed"},
    "environments": [],
    "flags": [NEW_FLAG],
}
_OTHER = {"key": "bank-{key}", "name": "Bank"}
_TOKEN = {"name": "new of {key}", "kind": "developer"}
VERBS = (
    Verb("project.create", "POST", "/api/v1/projects", _OTHER, chain="bank-{key}", creates=True),
    Verb("project.update", "PATCH", _P, {"name": "Renamed"}),
    Verb("project.delete", "DELETE", _P),
    Verb("project.import", "POST", "/api/v1/import", _RENAMED),
    Verb("environment.create", "POST", f"{_P}/environments", NEW_ENVIRONMENT, creates=True),
    Verb("environment.update", "PATCH", _STAGING, {"name": "Renamed", "position": 0}),
    Verb("environment.delete", "DELETE", f"{_P}/environments/qa", before="environment.create"),
    Verb("environment.copy", "POST", f"{_STAGING}/copy", {"from": "production", "include_enabled": True}),
    Verb("flag.create", "POST", f"{_P}/flags", NEW_FLAG, creates=True),
    Verb("flag.update", "PATCH", f"{_P}/flags/delivery-fee", {"variants": {"standard": 5.5}}),
    Verb("flag.archive", "POST", f"{_P}/flags/recommendations/archive"),
    Verb("flag.restore", "POST", f"{_P}/flags/recommendations/restore", before="flag.archive"),
    Verb("flag.delete", "DELETE", f"{_P}/flags/recommendations", before="flag.archive"),
    Verb("configuration.update", "PATCH", f"{_PRODUCTION}/flags/gift-cards", {"rules": []}),
    Verb("flag.enable", "POST", f"{_STAGING}/flags/gift-cards/enable"),
    Verb("flag.disable", "POST", f"{_PRODUCTION}/flags/gift-cards/disable"),
    Verb("flag.rollout", "POST", f"{_PRODUCTION}/flags/new-checkout/rollout", {"percent": 60}),
    Verb("segment.create", "POST", f"{_P}/segments", NEW_SEGMENT, creates=True),
    Verb("segment.update", "PATCH", f"{_P}/segments/staff", {"when": {"segment": "nordic-customers"}}),
    Verb("segment.delete", "DELETE", f"{_P}/segments/brand-new", before="segment.create"),
    Verb("token.create", "POST", "/api/v1/tokens", _TOKEN, chain=None, creates=True),
    Verb("token.revoke", "DELETE", "/api/v1/tokens/{token}", chain=None, before="token.create"),
)


def named(action: str) -> Verb:
    """The verb that the audit log calls so."""
    return next(verb for verb in VERBS if verb.action == action)


async def _token_of(stage: Stage) -> str:
    events = (await stage.admin.get("/api/v1/audit", params={"action": "token.create", "limit": 1})).json()["items"]
    target: str = events[0]["target"]
    return target.rpartition("/")[2]


def _filled(body: Any, key: str) -> Any:
    if isinstance(body, dict):
        return {name: _filled(value, key) for name, value in body.items()}
    return body.replace("{key}", key) if isinstance(body, str) else body
