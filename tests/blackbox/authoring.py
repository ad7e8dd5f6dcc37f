"""The authoring API in the hands of somebody who sets the scene for a test."""

from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

import httpx

Json = Any
FAR_AWAY = "2099-01-01"


class Author:
    """Makes projects, flags and tokens with one credential; a refusal fails the test, with its text."""

    def __init__(self, url: str, token: str, *, timeout_s: float = 10.0) -> None:
        headers = {"Authorization": f"Bearer {token}"}
        self.http = httpx.Client(base_url=url, headers=headers, timeout=timeout_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.http.close()

    def send(self, method: str, path: str, body: Json = None, **headers: str) -> Json:
        """The answer's body; the answer must be a 2xx."""
        reply = self.http.request(method, path, json=body, headers={k.replace("_", "-"): v for k, v in headers.items()})
        assert reply.is_success, f"{method} {path} gave {reply.status_code}: {reply.text}"
        return reply.json() if reply.content else None

    def project(self, key: str, *environments: str) -> None:
        """A project; an environment called `production` is one, and the others are for development."""
        self.send("POST", "/api/v1/projects", {"key": key, "name": key.title()})
        for environment in environments:
            tier = "production" if environment == "production" else "development"
            body = {"key": environment, "name": environment.title(), "tier": tier}
            self.send("POST", f"/api/v1/projects/{key}/environments", body)

    def flag(self, project: str, key: str, *, type: str = "boolean", **members: Json) -> None:  # noqa: A002
        """A flag; it is dark everywhere until it is configured."""
        body = {"key": key, "type": type, "purpose": "operational", **members}
        self.send("POST", f"/api/v1/projects/{project}/flags", body)

    def configure(self, project: str, environment: str, key: str, **patch: Json) -> Json:
        """Change how the flag is served there, whatever stood there before."""
        path = configuration_path(project, environment, key)
        etag = self.http.get(path).headers["etag"]
        return self.send("PATCH", path, patch, If_Match=etag)

    def switch(self, project: str, environment: str, key: str, *, on: bool) -> Json:
        path = configuration_path(project, environment, key)
        return self.send("POST", f"{path}/{'enable' if on else 'disable'}")

    def token(self, kind: str, **limits: Json) -> str:
        """The text of a new token."""
        return str(self.make_token(kind, **limits)["token"])

    def make_token(self, kind: str, **limits: Json) -> Json:
        """A new token as the API shows it this once."""
        return self.send("POST", "/api/v1/tokens", {"name": f"{kind} {uuid4()}", "kind": kind, **limits})

    def sdk_key(self, project: str, environment: str, kind: str = "server") -> str:
        return self.token(kind, project=project, environment=environment)


class Application:
    """An application that evaluates over HTTP with an SDK key, and wants to see every status."""

    def __init__(self, url: str, key: str, *, timeout_s: float = 5.0) -> None:
        headers = {"Authorization": f"Bearer {key}"}
        self.http = httpx.Client(base_url=url, headers=headers, timeout=timeout_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.http.close()

    def evaluate(self, key: str, context: Mapping[str, Json] | None = None) -> httpx.Response:
        body = {"context": {"targetingKey": "user-1", **(context or {})}}
        return self.http.post(f"/ofrep/v1/evaluate/flags/{key}", json=body)

    def evaluate_all(self, context: Mapping[str, Json] | None = None, **headers: str) -> httpx.Response:
        body = {"context": {"targetingKey": "user-1", **(context or {})}}
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.http.post("/ofrep/v1/evaluate/flags", json=body, headers=sent)

    def snapshot(self) -> httpx.Response:
        return self.http.get("/api/v1/sdk/snapshot")

    def value(self, key: str) -> Json:
        """The value served to a plain user; the evaluation must succeed."""
        reply = self.evaluate(key)
        assert reply.status_code == 200, reply.text
        return reply.json()["value"]


def configuration_path(project: str, environment: str, key: str) -> str:
    return f"/api/v1/projects/{project}/environments/{environment}/flags/{key}"
