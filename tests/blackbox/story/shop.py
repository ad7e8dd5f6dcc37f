"""The shop of the story: its people, its two services, its policy, and a source of metrics."""

import hashlib
import json
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

from tests.blackbox.authoring import Author
from tests.blackbox.server_process import ServerProcess

PROJECT = "shop"
PATH = f"/api/v1/projects/{PROJECT}"
PRODUCTION = f"{PATH}/environments/production"
SERVICES = ("web", "api")
FLAG, STORY, RELEASE = "one-page-checkout", "SHOP-117", "one-page-checkout"
CUSTOMERS = 200


def moment(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")


def digest_of(service: str, version: int) -> str:
    return "sha256:" + hashlib.sha256(f"{service} {version}".encode()).hexdigest()


def commit_of(service: str, version: int) -> str:
    return hashlib.sha1(f"{service} {version}".encode(), usedforsecurity=False).hexdigest()


def policy(closed_until: datetime) -> dict[str, Any]:
    """Delivery as the business wants it, and a freeze that ends at the hour of the release."""
    both, release = ["deploy", "release"], ["release"]
    return {
        "schema": "release-policy/v1",
        "name": "shop",
        "time_zone": "UTC",
        "environments": {
            "staging": {"order": 10, "tier": "staging", "production_like": True},
            "production": {
                "order": 20,
                "tier": "production",
                "production_like": True,
                "after": ["staging"],
                "slots": ["blue", "green"],
            },
        },
        "suites": {
            "unit": {"kind": "test.unit"},
            "acceptance": {"kind": "test.acceptance", "environment": {"production_like": True}},
        },
        "calendars": {
            "until-nine": {
                "type": "freeze",
                "from": (closed_until - timedelta(days=2)).strftime("%Y-%m-%dT%H:%M:%S"),
                "to": closed_until.strftime("%Y-%m-%dT%H:%M:%S"),
            }
        },
        "rules": [
            {"id": "tested", "kind": "suites", "condition": "C1", "actions": both},
            {"id": "shown", "kind": "demo", "condition": "C2", "actions": release, "roles": ["customer"]},
            {"id": "clear", "kind": "obstacles", "condition": "C3", "actions": both},
            {"id": "dark", "kind": "flags_dark", "actions": ["deploy"]},
            {"id": "order", "kind": "order", "actions": ["deploy"]},
            {"id": "live", "kind": "flag_live", "actions": release},
            {"id": "business", "kind": "approval", "actions": release, "role": "product"},
            {"id": "nine", "kind": "calendar", "actions": release, "use": ["until-nine"]},
        ],
    }


class Shop:
    """Everybody in it, each with a token of their own."""

    def __init__(self, server: ServerProcess) -> None:
        self.server = server
        self.admin = Author(server.url, server.set_up())
        named = {
            "ann": ("developer", "ann@shop.example", []),
            "bo": ("manager", "bo@shop.example", ["product"]),
            "cy": ("manager", "cy@customer.example", ["customer"]),
        }
        self.ann, self.bo, self.cy = (
            Author(server.url, self.admin.token(kind, person=person, roles=roles))
            for kind, person, roles in named.values()
        )
        self.pipeline = Author(server.url, self.admin.token("pipeline"))

    def set_up(self, metrics_url: str) -> None:
        """Environments, services with a first version that is live everywhere, and the dark flag."""
        admin = self.admin
        admin.send("POST", "/api/v1/projects", {"key": PROJECT, "name": "Shop"})
        for key, tier in (("staging", "staging"), ("production", "production")):
            body = {"key": key, "name": key, "tier": tier, "production_like": True}
            admin.send("POST", f"{PATH}/environments", body)
        for service in SERVICES:
            admin.send("POST", f"{PATH}/services", {"key": service, "name": service})
            self.build(service, 1)
            self.deploy(service, 1, "staging")
            self.deploy(service, 1, "production", "blue")
        admin.flag(
            PROJECT, FLAG, purpose="release", expires_on="2099-01-01", stories=[STORY], track_exposures="subjects"
        )
        admin.send("PUT", f"{PATH}/stories/{STORY}", {"title": "Checkout on one page"})
        guardrail = {
            "key": "errors",
            "source": {"kind": "prometheus", "url": metrics_url, "query": "errors"},
            "condition": {"kind": "threshold", "op": "gt", "value": 0.05},
            "action": "step_back",
            "interval_s": 5,
        }
        admin.send("POST", f"{PATH}/guardrails", guardrail)

    def rule(self, closed_until: datetime) -> None:
        """Ann writes the policy, and the admin activates it."""
        version = self.ann.send("POST", f"{PATH}/policies", policy(closed_until))["version"]
        self.admin.send("POST", f"{PATH}/policies/shop/versions/{version}/activate", {})

    def build(self, service: str, version: int, *stories: str) -> None:
        """A build that grew from the one before."""
        body: dict[str, Any] = {"digests": [digest_of(service, version)], "commit": commit_of(service, version)}
        if version > 1:
            body["parent"] = digest_of(service, version - 1)
            body["commits"] = [{"id": body["commit"], "authors": ["ann@shop.example"], "stories": list(stories)}]
        self.pipeline.send("POST", f"{PATH}/services/{service}/builds", body)

    def deploy(self, service: str, version: int, environment: str, slot: str | None = None) -> None:
        """Put it there, by the button, and give it the traffic."""
        deployments = f"{PATH}/services/{service}/deployments"
        body = {"digest": digest_of(service, version), "environment": environment, "slot": slot}
        started = self.pipeline.send("POST", deployments, body)
        self.pipeline.send("POST", f"{PATH}/deployments/{started['id']}/finish", {"live": True})

    def tests_ran(self, service: str, version: int, suite: str) -> None:
        evidence = {
            "kind": f"test.{suite}",
            "suite": suite,
            "subject": {"digest": digest_of(service, version)},
            "environment": "staging" if suite == "acceptance" else None,
            "outcome": "pass",
            "counts": {"total": 12, "passed": 12},
            "run": {"id": f"{service} {version}"},
            "finished_at": moment(datetime.now(UTC)),
        }
        self.pipeline.send("POST", f"{PATH}/evidence", evidence)

    def may_deploy(self, service: str, version: int) -> Any:
        """What the pipeline is told about production's green slot."""
        asked = {"action": "deploy", "service": service, "environment": "production", "slot": "green"}
        return self.pipeline.send("POST", f"{PATH}/decisions", {**asked, "digest": digest_of(service, version)})

    def show(self) -> None:
        """The story is shown in staging, and the customer takes it."""
        demo = {"stories": [STORY], "environment": "staging", "audience": ["customers"]}
        shown = self.ann.send("POST", f"{PATH}/demos", demo)
        self.cy.send("POST", f"{PATH}/demos/{shown['id']}/accept", {"role": "customer"})

    def release(self) -> Any:
        return self.bo.send("GET", f"{PATH}/releases/{RELEASE}")

    def close(self) -> None:
        for author in (self.admin, self.ann, self.bo, self.cy, self.pipeline):
            author.http.close()


class Application:
    """A process with the SDK in it; `lit` are the customers who see the new page now, `seen` all that it ever was."""

    def __init__(self, url: str, key: str, service: str) -> None:
        script = Path(__file__).with_name("application.py")
        command = [sys.executable, str(script), url, key, FLAG, str(CUSTOMERS), digest_of(service, 2)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.seen: list[frozenset[int]] = []
        self._reading = threading.Thread(target=self._read, daemon=True)

    @property
    def lit(self) -> frozenset[int] | None:
        return self.seen[-1] if self.seen else None

    def sees(self, is_right: Callable[[frozenset[int]], bool]) -> bool:
        return self.lit is not None and is_right(self.lit)

    def __enter__(self) -> Self:
        self._reading.start()
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(20)
        self._reading.join(5)
        assert self._process.stdout is not None
        self._process.stdout.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.seen.append(frozenset(json.loads(line)))
