"""Adds the example project `shop` and the tokens that its tour uses."""

import os
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy.ext.asyncio import AsyncSession

from greenroom_server.access.permissions import PERMISSIONS
from greenroom_server.access.principal import Principal
from greenroom_server.access.service import create_token, ensure_installation, new_setup_token, set_up
from greenroom_server.access.wire import SetupIn, TokenIn
from greenroom_server.clock import Clock
from greenroom_server.database.engine import Database
from greenroom_server.decisions.policies import PolicyShelf
from greenroom_server.decisions.service_gates import put_gate
from greenroom_server.decisions.service_policies import activate_policy, create_policy
from greenroom_server.decisions.wire import ActivationIn, GateIn
from greenroom_server.errors import NotFound
from greenroom_server.flags.service_import import import_project
from greenroom_server.flags.service_scope import find_environment_id, get_project
from greenroom_server.flags.wire import ProjectDocument
from greenroom_server.flags.work import Work
from greenroom_server.releases.service_example import ExampleFacts, tell_example
from greenroom_server.rollouts.service_releases import create_release
from greenroom_server.rollouts.wire import ReleaseIn
from greenroom_server.web.conditional import IfMatch
from greenroom_server.web.validation import parse
from greenroom_server.web.yaml_codec import read_yaml

PROJECT = "shop"
_BEGAN = timedelta(hours=80)  # before the first thing that the example tells of
_MAX_NODES = 100_000
_TOKENS = {
    "MANAGER_TOKEN": TokenIn(
        name="example: product manager", kind="manager", projects=[PROJECT], person="ada@shop.example"
    ),
    "DEVELOPER_TOKEN": TokenIn(
        name="example: developer", kind="developer", projects=[PROJECT], person="bo@shop.example"
    ),
    "PIPELINE_TOKEN": TokenIn(name="example: pipeline", kind="pipeline", projects=[PROJECT]),
    "SERVER_KEY": TokenIn(name="example: services", kind="server", project=PROJECT, environment="production"),
    "CLIENT_KEY": TokenIn(name="example: browsers", kind="client", project=PROJECT, environment="production"),
}


def example_document() -> ProjectDocument:
    """The example as `POST /api/v1/import` takes it."""
    return parse(ProjectDocument, _read("shop.yaml"))


def example_facts() -> ExampleFacts:
    """What is told of the example's releases."""
    return parse(ExampleFacts, _read("releases.yaml"))


async def seed(database: Database, clock: Clock, tokens_file: Path | None) -> list[str]:
    """Import the example unless it is there, and make its tokens; what to tell the user, line by line."""
    now = clock.now()
    async with database.transaction() as session:
        await ensure_installation(session, now)
        try:
            await get_project(session, PROJECT)
        except NotFound:
            pass
        else:
            return [f"the project `{PROJECT}` is there already"]
        admin = await _first_admin(session, now)
        seeder = Principal(uuid4() if admin is None else admin[0], "seed", "admin", PERMISSIONS["admin"])
        work = Work(session, seeder, now - _BEGAN)
        await import_project(work, example_document())
        texts = {} if admin is None else {"ADMIN_TOKEN": admin[1]}
        made = {
            name: await create_token(session, seeder, wanted, find_environment_id, now)
            for name, wanted in _TOKENS.items()
        }
        texts |= {name: one.token for name, one in made.items()}
        holders = {name: Work(session, _holder(one.id, _TOKENS[name]), now) for name, one in made.items()}
        await tell_example(work, holders["PIPELINE_TOKEN"], PROJECT, example_facts())
        await _rule(holders["DEVELOPER_TOKEN"], holders["MANAGER_TOKEN"])
        await create_release(holders["DEVELOPER_TOKEN"], PROJECT, parse(ReleaseIn, _read("release.yaml")))
    lines = [f"export {name}={text}" for name, text in texts.items()]
    if tokens_file is None:
        return [f"the project `{PROJECT}` is there; its tokens, shown once:", *lines]
    _write(tokens_file, "\n".join(lines) + "\n")
    return [f"the project `{PROJECT}` is there; its tokens are in {tokens_file}"]


async def _first_admin(session: AsyncSession, now: datetime) -> tuple[UUID, str] | None:
    """Set the installation up if nobody has; the first administrator's token."""
    setup_token = await new_setup_token(session)
    if setup_token is None:
        return None
    created = await set_up(session, SetupIn(setup_token=setup_token, name="example: administrator"), now)
    return created.id, created.token


async def _rule(author: Work, activator: Work) -> None:
    """Put the example's policy into force: one writes it, and somebody else lets it decide.

    Its flags can be switched all the same: a team grows into it, so production's gate tells and does not hold.
    """
    policy = (await create_policy(author, PROJECT, _read("policy.yaml"))).result
    wanted = ActivationIn(reason="the policy of the example")
    await activate_policy(activator, PROJECT, policy.name, policy.version, wanted)
    gate = GateIn(mode="warn", reason="a first look at what it would hold up")
    await put_gate(replace(activator, if_match=IfMatch(())), PROJECT, "production", gate, PolicyShelf())


def _holder(token_id: UUID, wanted: TokenIn) -> Principal:
    return Principal(token_id, wanted.name, wanted.kind, PERMISSIONS[wanted.kind], person=wanted.person)


def _read(name: str) -> Any:
    return read_yaml((Path(__file__).parent / "example" / name).read_bytes(), nodes=_MAX_NODES)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
