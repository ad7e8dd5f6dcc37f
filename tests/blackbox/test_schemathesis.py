"""openapi.yaml held against a real server with generated requests, for every operation and every kind of credential.

Whatever is sent: no 5xx, no status, content type, header or body that the contract does not tell, no malformed request
that is taken, and no answer without the credential that the contract demands. The cases are the same in each run;
`GREENROOM_CASES` multiplies their number.
"""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import pytest
import requests
import schemathesis
import yaml
from hypothesis import HealthCheck, Phase, given, seed, settings
from schemathesis import Case, GenerationMode, checks
from tests.blackbox.server_process import ServerProcess, surroundings

from greenroom_server.access.permissions import PERMISSIONS

CONTRACT: Final = Path(__file__).parents[2] / "openapi.yaml"
SEED: Final = 20261123
TIMES: Final = int(os.environ.get("GREENROOM_CASES", "1"))
# How many cases an operation gets, with a credential that may use it and with one that may not.
ALLOWED: Final = 10
REFUSED: Final = 4
AT_LEAST: Final = 2000

# The name that the seed command gives each kind of credential.
TOKEN_NAMES: Final = {
    "none": "",
    "client": "CLIENT_KEY",
    "server": "SERVER_KEY",
    "pipeline": "PIPELINE_TOKEN",
    "developer": "DEVELOPER_TOKEN",
    "manager": "MANAGER_TOKEN",
    "admin": "ADMIN_TOKEN",
}
# Keys of the example project, and of a webhook that is made; the id of a token is added.
REAL: Final = {
    "project": "shop",
    "environment": "staging",
    "flag": "new-checkout",
    "segment": "staff",
    "change_request": "1",
    "key": "new-checkout",
    "webhook": "on-call",
    "delivery": "0c4f6a0e-8d8c-4f0e-9a57-0f5f0d0a9c11",
    "service": "checkout",
    "digest": "sha256:171a9077850a9e6ac6e4aa3f4d882ada708715b52874e17e1f2e0ee9bf569e1f",
    "story": "SHOP-117",
    "person": "bo@shop.example",
    "producer": "ci",
    "release": "express-delivery",
    "guardrail": "checkout-errors",
    "integration": "azure",
    **dict.fromkeys(
        ("deployment", "evidence", "parity", "demo", "obstacle", "incident", "approval", "veto", "waiver"),
        "0c4f6a0e-8d8c-4f0e-9a57-0f5f0d0a9c11",
    ),
}
WEBHOOK: Final = {"key": REAL["webhook"], "url": "https://hooks.invalid/", "events": ["*"]}
INTEGRATION: Final = {
    "key": REAL["integration"],
    "kind": "azure",
    "service": REAL["service"],
    "url": "https://azure.invalid/shop",
}
# Who may open a stream gets one that does not end.
ENDLESS: Final = {("stream_snapshot", "server")}
AnyCase = Case[Any]
METHODS: Final = ("get", "post", "put", "patch", "delete")
CHECKS: Final = [
    checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
    checks.missing_required_header,
    checks.unsupported_method,
    checks.allow_header_conformance,
    checks.negative_data_rejection,
    checks.ignored_auth,
]


def permissions_by_operation() -> dict[str, str]:
    """The permission that each operation takes; those that delete come last, the project last of all."""
    document = yaml.safe_load(CONTRACT.read_text())
    found = [
        (method == "delete", -path.count("/") if method == "delete" else 0, item[method])
        for path, item in document["paths"].items()
        for method in METHODS
        if method in item
    ]
    found.sort(key=lambda one: one[:2])
    return {operation["operationId"]: operation["x-permission"] for *_, operation in found}


PERMISSION_OF: Final = permissions_by_operation()


@dataclass(frozen=True)
class Target:
    """The served example with one kind of credential, and how many cases it has had."""

    kind: str
    url: str
    headers: dict[str, str] | None
    spare_token_id: str
    session: requests.Session
    server: ServerProcess
    counts: list[int]

    def allows(self, operation_id: str) -> bool:
        permission = PERMISSION_OF[operation_id]
        return permission in PERMISSIONS.get(self.kind, ()) or permission.startswith("(")


@pytest.fixture(scope="module")
def counts() -> list[int]:
    """How many cases each operation had, with each credential."""
    return []


@pytest.fixture(scope="module")
def example(make_database: Callable[[], str], data_dir_factory: Callable[[], Path]) -> tuple[str, dict[str, str]]:
    """A seeded database, to be copied, and its tokens."""
    database_url, tokens_file = make_database(), data_dir_factory().parent / "shop.env"
    command = [sys.executable, "-m", "greenroom_server", "seed", "--database-url", database_url]
    command += ["--tokens", str(tokens_file)]
    subprocess.run(command, check=True, env=surroundings({}), timeout=60, stdout=subprocess.DEVNULL)
    return database_url, dict(re.findall(r"export (\w+)=(\S+)", tokens_file.read_text()))


@pytest.fixture(scope="module", params=TOKEN_NAMES)
def target(
    request: pytest.FixtureRequest,
    make_database: Callable[..., str],
    data_dir_factory: Callable[[], Path],
    example: tuple[str, dict[str, str]],
    counts: list[int],
) -> Iterator[Target]:
    """A server of this credential's own: what one deletes, the next one finds."""
    seeded, tokens = example
    name = TOKEN_NAMES[request.param]
    headers = {"Authorization": f"Bearer {tokens[name]}"} if name else None
    with (
        ServerProcess(data_dir_factory(), database_url=make_database(seeded)) as server,
        requests.Session() as session,
    ):
        admin = {"Authorization": f"Bearer {tokens['ADMIN_TOKEN']}"}
        spare = session.post(
            f"{server.url}/api/v1/tokens", json={"name": "to be revoked", "kind": "pipeline"}, headers=admin, timeout=10
        )
        session.post(f"{server.url}/api/v1/projects/shop/webhooks", json=WEBHOOK, headers=admin, timeout=10)
        session.post(f"{server.url}/api/v1/projects/shop/integrations", json=INTEGRATION, headers=admin, timeout=10)
        yield Target(request.param, server.url, headers, spare.json()["id"], session, server, counts)


@cache
def contract() -> Any:
    """The contract, as Schemathesis reads it."""
    settings = {"generation": {"with-security-parameters": False}, "request-timeout": 10}
    return schemathesis.openapi.from_path(CONTRACT, config=schemathesis.Config.from_dict(settings))


@cache
def strategies(operation_id: str) -> list[Any]:
    """How requests are made up: well-formed ones to what is there, any well-formed ones, and malformed ones."""
    operation = contract().find_operation_by_id(operation_id)
    named = [parameter.name for parameter in operation.path_parameters]
    there = {name: REAL.get(name, "") for name in named} or None
    headers = {"If-Match": "*"} if any(one.name == "If-Match" for one in operation.headers) else None
    found = [
        operation.as_strategy(GenerationMode.POSITIVE, path_parameters=there, headers=headers),
        operation.as_strategy(GenerationMode.POSITIVE),
    ]
    if operation.body or operation.query:
        found.append(operation.as_strategy(GenerationMode.NEGATIVE, path_parameters=there, headers=headers))
    return found


def exercise(strategy: Any, number: int, label: str, check: Callable[[AnyCase], None]) -> None:
    """Check that many cases. The first that fails is reported as it is: repeated, it would find another state."""

    @seed(f"{SEED} {label}")
    @settings(
        max_examples=number,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=strategy)
    def run(case: AnyCase) -> None:
        check(case)

    run()


@pytest.mark.parametrize("operation_id", PERMISSION_OF)
def test_the_contract_holds(target: Target, operation_id: str) -> None:
    """Nothing that can be sent with this credential brings forth what the contract does not tell."""
    if (operation_id, target.kind) in ENDLESS:
        return
    number = TIMES * (ALLOWED if target.allows(operation_id) else REFUSED)

    def check(case: AnyCase) -> None:
        if "token" in case.path_parameters and not case.path_parameters["token"]:
            case.path_parameters["token"] = target.spare_token_id
        target.counts.append(1)
        case.call_and_validate(target.url, session=target.session, headers=target.headers, checks=CHECKS)

    ways = strategies(operation_id)
    for way, strategy in enumerate(ways):
        share = number * (2 if way == 0 else 1) // (len(ways) + 1)
        exercise(strategy, max(1, share), f"{operation_id} {target.kind} {way}", check)


def test_there_were_enough_cases(counts: list[int], request: pytest.FixtureRequest) -> None:
    """The budget is spent: a contract or a generator that shrank does not pass unnoticed."""
    names = [item.name for item in request.session.items if item.path == request.path]
    if len(names) < len(TOKEN_NAMES) * len(PERMISSION_OF):
        pytest.skip("only some of the operations were tried")
    print(f"{len(counts)} cases with seed {SEED}")

    assert len(counts) >= AT_LEAST * TIMES
