"""Forges ask a real server, and are answered at their own APIs: signatures, tokens and reviews, all over HTTP.

What comes in has the members of GitHub's webhook `deployment_protection_rule`, GitLab's list of deployments and the
body of Azure's check; what goes out is what their REST descriptions take.
"""

import hashlib
import hmac
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import jwt
import orjson
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from tests.blackbox.adapters.forge import Forge
from tests.blackbox.decisions.scene import put_in_force
from tests.blackbox.server_process import ServerProcess, until
from tests.blackbox.venue import PROJECT, Venue, open_venue

PATH = f"/api/v1/projects/{PROJECT}"
INTEGRATIONS = f"{PATH}/integrations"
SECRET = "a secret that both sides know"
RUN = "/repos/acme/web/actions/runs/7/deployment_protection_rule"
KEY = rsa.generate_private_key(65537, 2048)
PEM = KEY.private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
).decode()


class GitHubApi:
    """Takes the App's token for one of an installation, and reviews for that one."""

    def __init__(self) -> None:
        self.troubles: list[int] = []

    def __call__(self, method: str, path: str, headers: dict[str, str], document: Any) -> tuple[int, Any]:
        token = headers.get("authorization", "").removeprefix("Bearer ")
        if path == "/app/installations/42/access_tokens":
            claims = jwt.decode(token, KEY.public_key(), algorithms=["RS256"])
            assert claims["iss"] == "271828"
            expires_at = (datetime.now(UTC) + timedelta(hours=1)).isoformat(timespec="seconds")
            return 201, {"token": "ghs_installation", "expires_at": expires_at.replace("+00:00", "Z")}
        assert (method, token) == ("POST", "ghs_installation")
        return (self.troubles.pop(0) if self.troubles else 204), None


@pytest.fixture(scope="module")
def venue(make_database: Callable[[], str], data_dir_factory: Callable[[], Path]) -> Iterator[Venue]:
    """A server that may send to the loopback, a policy in force, and a build that nobody has tested yet."""
    with ServerProcess(data_dir_factory(), database_url=make_database(), webhook_insecure="true") as server:
        made = open_venue(server)
        with made.author() as author:
            author.send("POST", f"{PATH}/services", {"key": "web", "name": "Web"})
            put_in_force(author, PATH)
        yield made


class Scene:
    """A build of its own for each test, and an integration."""

    def __init__(self, venue: Venue, number: int) -> None:
        self.venue = venue
        self.digest, self.commit = f"sha256:{number:064x}", f"{number:040x}"
        self.send("POST", f"{PATH}/services/web/builds", {"digests": [self.digest], "commit": self.commit})

    def send(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        with self.venue.author() as author:
            return author.send(method, path, body, **headers)

    def integrate(self, kind: str, **members: Any) -> str:
        """A new integration; its path."""
        key = f"{kind}-{self.commit[-4:]}"
        body = {"key": key, "kind": kind, "service": "web", **members}
        self.send("POST", INTEGRATIONS, body)
        return f"{INTEGRATIONS}/{key}"

    def tests_ran(self, outcome: str = "pass") -> None:
        evidence = {
            "kind": "test.unit",
            "suite": "unit",
            "subject": {"digest": self.digest},
            "outcome": outcome,
            "counts": {"total": 3, "passed": 3} if outcome == "pass" else {"total": 3, "passed": 2, "failed": 1},
            "run": {"id": f"{self.commit} {outcome}"},
            "finished_at": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
        }
        self.send("POST", f"{PATH}/evidence", evidence)

    def request_of(self, integration: str) -> Any:
        (request,) = self.send("GET", f"{integration}/requests")["items"]
        return request


@pytest.fixture
def scene(venue: Venue, request: pytest.FixtureRequest) -> Scene:
    return Scene(venue, int(hashlib.sha256(request.node.name.encode()).hexdigest()[:6], 16))


@pytest.fixture
def github() -> Iterator[Forge]:
    with Forge(GitHubApi()) as forge:
        yield forge


def asked(forge: Forge, commit: str, **members: Any) -> dict[str, Any]:
    """The webhook, with the members that GitHub's schema lists."""
    return {
        "action": "requested",
        "environment": "live",
        "event": "push",
        "deployment_callback_url": forge.url + RUN,
        "deployment": {"id": 87654321, "sha": commit, "ref": "main", "task": "deploy", "environment": "live"},
        "pull_requests": [{"id": 1, "number": 2, "body": "long " * 4000}],
        "repository": {"id": 3, "full_name": "acme/web"},
        "sender": {"login": "bo"},
        "installation": {"id": 42, "node_id": "x"},
        **members,
    }


def tell(venue: Venue, path: str, document: Any, *, secret: str = SECRET, event: str | None = None) -> httpx.Response:
    """As GitHub sends it."""
    body = orjson.dumps(document)
    signature = "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    headers = {
        "Content-Type": "application/json",
        "X-GitHub-Event": event or "deployment_protection_rule",
        "X-Hub-Signature-256": signature,
    }
    return httpx.post(venue.server.url + path, content=body, headers=headers, timeout=10)


def with_github(scene: Scene, forge: Forge) -> str:
    places = {"live": {"environment": "production"}}
    integration = scene.integrate(
        "github", account="271828", secret=SECRET, credential=PEM, url=forge.url, places=places
    )
    return f"{integration}/github"


def test_github_hears_why_it_waits_and_then_that_it_may(scene: Scene, github: Forge) -> None:
    """A status note without a state, and after the evidence came the approval; each review with the App's token."""
    path = with_github(scene, github)
    told = tell(scene.venue, path, asked(github, scene.commit))
    assert told.status_code == 202, told.text

    (note,) = github.wait_for(1, RUN)
    assert set(note[3]) == {"environment_name", "comment"}
    assert note[3]["environment_name"] == "live"
    assert "evidence.missing" in note[3]["comment"]
    scene.tests_ran()
    review = github.wait_for(2, RUN)[1][3]
    assert (review["environment_name"], review["state"]) == ("live", "approved")
    assert len(review["comment"]) <= 1024

    integration = path.removesuffix("/github")
    until(lambda: scene.request_of(integration)["state"] == "answered", what="the outcome to be written down")
    request = scene.request_of(integration)
    assert (request["verdict"], request["notes"], request["last_status"]) == ("allow", 1, 204)
    decision = scene.send("GET", f"{PATH}/decisions/{request['decision']}")
    assert (decision["decision"], decision["subject"]["digest"]) == ("allow", scene.digest)
    assert len(github.wait_for(1, "/access_tokens")) == 1


def test_github_s_redelivery_is_answered_again(scene: Scene, github: Forge) -> None:
    """Twice while it waits is once; after the answer it is decided anew, since GitHub did not get it."""
    path = with_github(scene, github)
    document = asked(github, scene.commit)
    assert tell(scene.venue, path, document).json()["request"] is not None
    assert tell(scene.venue, path, document).json()["request"] is None
    scene.tests_ran()
    until(lambda: scene.request_of(path.removesuffix("/github"))["state"] == "answered", what="the answer")
    assert tell(scene.venue, path, document).json()["request"] is not None

    until(lambda: len([c for c in github.calls if c[3].get("state") == "approved"]) == 2, what="the second approval")


def test_a_red_build_is_rejected_with_the_reason(scene: Scene, github: Forge) -> None:
    """The comment names rule and code; nobody has to wait for it."""
    path = with_github(scene, github)
    scene.tests_ran("fail")
    tell(scene.venue, path, asked(github, scene.commit))

    (review,) = github.wait_for(1, RUN)
    assert review[3]["state"] == "rejected"
    assert "tested: " in review[3]["comment"]
    assert "evidence.failed" in review[3]["comment"]


def test_a_forge_that_is_down_is_told_later_by_a_new_decision(scene: Scene, github: Forge) -> None:
    """503 and then 204; between them the build turned red, so what is told is what holds then."""
    assert isinstance(github.api, GitHubApi)
    github.api.troubles = [503]
    path = with_github(scene, github)
    scene.tests_ran()
    tell(scene.venue, path, asked(github, scene.commit))
    github.wait_for(1, RUN)
    scene.send(
        "POST",
        f"{PATH}/obstacles",
        {"service": "web", "environment": "production", "digest": scene.digest, "text": "broken"},
    )

    states = [call[3].get("state") for call in github.wait_for(2, RUN)]
    assert states[0] == "approved"
    assert states[1] != "approved"


@pytest.mark.parametrize("trouble", ["signature", "no signature", "unknown", "another kind", "off"])
def test_a_forged_webhook_is_refused(scene: Scene, github: Forge, trouble: str) -> None:
    """Always 401, and nothing is put in line."""
    path = with_github(scene, github)
    integration = path.removesuffix("/github")
    document, secret = asked(github, scene.commit), SECRET
    if trouble == "unknown":
        path = f"{INTEGRATIONS}/nobody/github"
    elif trouble == "another kind":
        path = f"{integration}/gitlab"
    elif trouble == "off":
        scene.send("PATCH", integration, {"enabled": False}, If_Match="*")
    elif trouble == "signature":
        secret = "another secret"
    if trouble == "no signature":
        reply = httpx.post(scene.venue.server.url + path, json=document, timeout=10)
    else:
        reply = tell(scene.venue, path, document, secret=secret)

    assert reply.status_code == 401, reply.text
    assert scene.send("GET", f"{integration}/requests")["items"] == []


@pytest.mark.parametrize(
    ("members", "named"),
    [
        ({"deployment_callback_url": "https://evil.example/repos/acme/web"}, "deployment_callback_url"),
        ({"deployment_callback_url": "http://127.0.0.1:1@evil.example/repos/"}, "deployment_callback_url"),
        ({"deployment": {"id": 1, "sha": "main"}}, "deployment.sha"),
        ({"deployment": None}, "deployment.id"),
        ({"installation": {"id": True}}, "installation.id"),
        ({"environment": ""}, "environment"),
    ],
)
def test_a_webhook_that_cannot_be_used_is_named(
    scene: Scene, github: Forge, members: dict[str, Any], named: str
) -> None:
    """400 with the member; above all no token goes to another host than GitHub's."""
    reply = tell(scene.venue, with_github(scene, github), asked(github, scene.commit, **members))

    assert reply.status_code == 400, reply.text
    assert f"`{named}`" in reply.json()["detail"]
    assert github.calls == []


def test_other_events_of_github_are_taken_and_ignored(scene: Scene, github: Forge) -> None:
    """The App's ping is answered well, so that its page shows green."""
    reply = tell(scene.venue, with_github(scene, github), {"zen": "x"}, event="ping")

    assert (reply.status_code, reply.json()) == (202, {"request": None})


def test_a_commit_of_several_builds_is_rejected(scene: Scene, github: Forge) -> None:
    """A commit is no artifact: which of them would go is not known."""
    body = {"digests": [f"sha256:{'d' * 32}{scene.commit[-32:]}"], "commit": scene.commit}
    scene.send("POST", f"{PATH}/services/web/builds", body)
    tell(scene.venue, with_github(scene, github), asked(github, scene.commit))

    (review,) = github.wait_for(1, RUN)
    assert (review[3]["state"], "digest.ambiguous" in review[3]["comment"]) == ("rejected", True)


def test_gitlab_is_looked_at_and_approved(scene: Scene) -> None:
    """A blocked deployment is found, waits, and is approved for the group; what is not listed any more is let be."""
    listed = [
        {"id": number, "iid": number, "sha": scene.commit, "status": "blocked", "environment": {"name": "production"}}
        for number in (11, 12)
    ]

    def api(method: str, path: str, headers: dict[str, str], document: Any) -> tuple[int, Any]:
        assert headers["private-token"] == "glpat-bot"
        if method == "GET":
            assert path.startswith("/api/v4/projects/acme%2Fweb/deployments?status=blocked&")
            return 200, list(listed)
        return 201, {"status": "approved"}

    with Forge(api) as forge:
        integration = scene.integrate(
            "gitlab",
            account="acme/web",
            credential="glpat-bot",
            url=forge.url,
            secret=SECRET,
            represented_as="release managers",
        )
        until(lambda: len(scene.send("GET", f"{integration}/requests")["items"]) == 2, what="both deployments")
        del listed[0]
        poke = httpx.post(
            scene.venue.server.url + f"{integration}/gitlab",
            json={"object_kind": "deployment"},
            headers={"X-Gitlab-Token": SECRET},
            timeout=10,
        )
        assert poke.status_code == 202, poke.text
        until(
            lambda: (
                {one["state"] for one in scene.send("GET", f"{integration}/requests")["items"]} == {"waiting", "gone"}
            ),
            what="the second look",
        )
        scene.tests_ran()

        (call,) = forge.wait_for(1, "/deployments/12/approval")
        assert call[3]["status"] == "approved"
        assert call[3]["represented_as"] == "release managers"


def test_gitlab_s_refusal_shows_as_trouble(scene: Scene) -> None:
    """A token that GitLab does not take is seen in the integration, and is not tried over and over."""
    with Forge(lambda *_: (401, {"message": "401 Unauthorized"})) as forge:
        integration = scene.integrate("gitlab", account="7", credential="glpat-old", url=forge.url)
        until(lambda: scene.send("GET", integration)["trouble"] == "401", what="the trouble")
        assert len(forge.calls) == 1


def test_azure_s_check_is_completed_with_its_own_token(scene: Scene) -> None:
    """202 at once, and `TaskCompleted` when the tests ran; it goes to the organisation and nowhere else."""
    with Forge(lambda *_: (200, None)) as forge:
        integration = scene.integrate("azure", url=f"{forge.url}/acme")
        ids = {name: f"3a7e60dc-c5b0-5009-86eb-{number:012d}" for number, name in enumerate(["plan", "job", "task"])}
        check = {
            "PlanUrl": f"{forge.url}/acme/",
            "ProjectId": "61153303-347e-5f06-a6a1-ce2102bd68eb",
            "HubName": "checks",
            "PlanId": ids["plan"],
            "JobId": ids["job"],
            "TaskInstanceId": ids["task"],
            "AuthToken": "pipeline-token",
            "Environment": "production",
            "Digest": scene.digest,
        }
        assert scene.send("POST", f"{integration}/azure", check)["request"] is not None
        until(lambda: scene.request_of(integration)["verdict"] == "wait", what="the first decision")
        scene.tests_ran()

        (call,) = forge.wait_for(1, "?api-version=7.1-preview.1")
        assert call[1].startswith(
            f"/acme/61153303-347e-5f06-a6a1-ce2102bd68eb/_apis/distributedtask/hubs/checks/plans/{ids['plan']}/events"
        )
        assert call[2]["authorization"] == "Basic OnBpcGVsaW5lLXRva2Vu"
        assert call[3] == {
            "name": "TaskCompleted",
            "taskId": ids["task"],
            "jobId": ids["job"],
            "result": "succeeded",
        }
        with scene.venue.author() as author:
            foreign = {**check, "PlanUrl": "https://dev.azure.com/other"}
            reply = author.http.post(f"{integration}/azure", json=foreign)
        assert (reply.status_code, "`PlanUrl`" in reply.text) == (400, True)


def test_a_killed_server_answers_what_it_was_asked(scene: Scene, github: Forge) -> None:
    """Killed right after it took the question: whoever starts next decides and answers."""
    path = with_github(scene, github)
    scene.tests_ran()
    assert tell(scene.venue, path, asked(github, scene.commit)).status_code == 202
    scene.venue.server.kill()
    scene.venue.server.start()

    assert github.wait_for(1, RUN)[0][3]["state"] == "approved"
