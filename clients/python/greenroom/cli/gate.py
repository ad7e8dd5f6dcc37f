"""`greenroom gate`: may this build go there, may this flag be released? Ends with 0 (allow), 10 (wait) or 20 (deny).

Everything that is no decision ends with another code, which is never 0: errors.py.
"""

import json
import os
from pathlib import Path
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlsplit

import typer

from greenroom.cli import gate_log, gate_permit, gate_verify, readiness
from greenroom.cli.arguments import Slot
from greenroom.cli.command import Needs, command
from greenroom.cli.decision import Decision, read_decision
from greenroom.cli.errors import UsageError
from greenroom.cli.files import read_text
from greenroom.cli.gate_ending import JunitFile, MarkdownFile, end
from greenroom.cli.gate_wait import wait_for
from greenroom.cli.policy import version_of
from greenroom.cli.session import Session
from greenroom.cli.subject import Artifact, Commit, Digest, Service, one_build, subject_of
from greenroom.cli.times import moment, span

group = typer.Typer(
    help="Ask whether a build may go, or a flag be released: 0 allow, 10 wait, 20 deny.", no_args_is_help=True
)

ABOUT_FLAGS: Final = ("release", "darken")
_ABOUT_BUILDS: Final = ("deploy", "switch", "rollback")
CALLBACK_KEY: Final = "GREENROOM_CALLBACK_SECRET"
_FILE_ENDS: Final = (".yaml", ".yml", ".json")

Action = Annotated[
    str,
    typer.Option(
        metavar="ACTION", help="What is to be done: deploy, switch, release, darken or rollback; any other is denied."
    ),
]
Flag = Annotated[str | None, typer.Option(help="The flag, for `release` and `darken`.")]
Audience = Annotated[str | None, typer.Option(help="Who is to get it, for `release`: as approvals call them.")]
ScheduledFor = Annotated[
    str | None, typer.Option(metavar="MOMENT", help="It will be done only then: ask about now and then.")
]
Callback = Annotated[
    str | None,
    typer.Option(metavar="WEBHOOK|URL", help=f"If it is wait, send there what becomes of it; {CALLBACK_KEY} signs."),
]


@command(group, "check", needs=Needs.ENVIRONMENT)
def check_gate(
    session: Session,
    service: Service,
    action: Action = "deploy",
    digest: Digest = None,
    commit: Commit = None,
    artifact: Artifact = None,
    slot: Slot = None,
    flag: Flag = None,
    audience: Audience = None,
    scheduled_for: ScheduledFor = None,
    callback: Callback = None,
    markdown: MarkdownFile = None,
    junit: JunitFile = None,
) -> None:
    """Ask once, and end with the answer. The decision is kept, with everything that it was made from.

    In GitHub Actions it is added to the job's summary, and `decision` is an output of the step.
    """
    asked = _question(session, service, action, (digest, commit, artifact), slot, (flag, audience))
    asked |= _scheduled(scheduled_for) | _called_back(callback)
    decision = ask(session, asked)
    if callback is not None:
        _tell_callback(session, decision.body.get("callback"), callback)
    end(session, decision, markdown, junit)


@command(group, "wait", needs=Needs.ENVIRONMENT)
def wait_at_gate(
    session: Session,
    service: Service,
    action: Action = "deploy",
    digest: Digest = None,
    commit: Commit = None,
    artifact: Artifact = None,
    slot: Slot = None,
    flag: Flag = None,
    audience: Audience = None,
    markdown: MarkdownFile = None,
    junit: JunitFile = None,
    for_: Annotated[str, typer.Option("--for", metavar="SPAN", help="How long at most: `90s`, `20m`, `2h`.")] = "20m",
) -> None:
    """Ask, and while the answer is wait, ask again as soon as it may be another: when facts come in, or time passes.

    What changes is told once. When the time is up it ends like `check`, with the last answer.
    """
    asked = _question(session, service, action, (digest, commit, artifact), slot, (flag, audience))
    length = span(for_)
    end(session, wait_for(session, lambda: ask(session, asked), length.total_seconds()), markdown, junit)


@command(group, "simulate", needs=Needs.ENVIRONMENT)
def simulate_gate(
    session: Session,
    service: Service,
    action: Action = "deploy",
    digest: Digest = None,
    commit: Commit = None,
    artifact: Artifact = None,
    slot: Slot = None,
    flag: Flag = None,
    audience: Audience = None,
    scheduled_for: ScheduledFor = None,
    at: Annotated[
        str | None, typer.Option(metavar="MOMENT", help="As if it were then: `2d` ahead, or a moment.")
    ] = None,
    mode: Annotated[Literal["delivery", "deployment", "hold"] | None, typer.Option(help="As in this mode.")] = None,
    policy: Annotated[
        str | None, typer.Option(metavar="NAME@VERSION|FILE", help="By this version, or by a document of your own.")
    ] = None,
    markdown: MarkdownFile = None,
    junit: JunitFile = None,
) -> None:
    """Ask what would be decided: at another moment, in another mode, by another policy. Nothing is kept.

    It ends like the real thing, and says that it is none.
    """
    asked = _question(session, service, action, (digest, commit, artifact), slot, (flag, audience))
    asked |= _scheduled(scheduled_for)
    supposed: dict[str, Any] = {"at": moment(at, is_ahead=True), "mode": mode, **_policy(policy)}
    supposed = {name: value for name, value in supposed.items() if value is not None}
    body = session.api.ask(session.project_path("decisions", "simulate"), asked | supposed).body
    end(session, read_decision(body, asked, simulated=True), markdown, junit)


gate_permit.add_to(group)
gate_verify.add_to(group)
gate_log.add_to(group)
readiness.add_to(group)


def ask(session: Session, asked: dict[str, Any]) -> Decision:
    """The server's decision, which is kept; raises NoDecision for an answer that is none."""
    body = session.api.create(session.project_path("decisions"), asked).body
    return read_decision(body, asked, simulated=False)


def _question(
    session: Session,
    service: str,
    action: str,
    build: tuple[str | None, str | None, Path | None],
    slot: str | None,
    released: tuple[str | None, str | None],
) -> dict[str, Any]:
    flag, audience = released
    asked: dict[str, Any] = {"action": action, "service": service, "environment": session.environment}
    if action in ABOUT_FLAGS:
        if any(one is not None for one in build):
            raise UsageError(f"`{action}` is about a flag: it takes no `--digest`, `--commit` or `--artifact`")
        if flag is None or (audience is None and action == "release"):
            raise UsageError(
                f"`{action}` is about a flag: say `--flag`" + (" and `--audience`" if action == "release" else "")
            )
        asked |= {"flag": flag}
    elif action not in _ABOUT_BUILDS:  # the server says no, whatever it is about
        asked |= subject_of(*build).members | ({} if flag is None else {"flag": flag})
    else:
        if flag is not None or audience is not None:
            raise UsageError(f"`--flag` and `--audience` are for {' and '.join(f'`{one}`' for one in ABOUT_FLAGS)}")
        is_of_slot = action == "switch" and slot is not None
        asked |= (subject_of(*build) if is_of_slot else one_build(*build)).members
    more = {"slot": slot, "audience": audience}
    return asked | {name: value for name, value in more.items() if value is not None}


def _scheduled(text: str | None) -> dict[str, str]:
    made = moment(text, is_ahead=True)
    return {} if made is None else {"scheduled_for": made}


def _called_back(to: str | None) -> dict[str, Any]:
    """A webhook's key, or a URL. The secret comes out of a variable: others can see a command line."""
    if to is None:
        return {}
    if "://" not in to:
        return {"callback": {"webhook": to}}
    secret = os.environ.get(CALLBACK_KEY)
    return {"callback": {"url": to, **({"secret": secret} if secret else {})}}


def _tell_callback(session: Session, opened: Any, to: str) -> None:
    """Beside the decision: what comes to whom, and the secret that nobody can look up later."""
    if opened is None:
        session.screen.say("nothing is sent: the answer is final")
        return
    name = to if "://" not in to else urlsplit(to).netloc
    session.screen.say(f"what becomes of it is sent to {name}, until {opened['expires_at']}")
    if opened["secret"] is not None:
        session.screen.say(f"signed with {opened['secret']}, shown this once")


def _policy(given: str | None) -> dict[str, Any]:
    """A stored version by its name, or the text of a file."""
    if given is None:
        return {}
    named = version_of(given)
    if named is not None:
        return {"policy": {"name": named[0], "version": int(named[1])}}
    if given != "-" and not given.endswith(_FILE_ENDS) and not Path(given).exists():
        raise UsageError(f"`{given}` is neither NAME@VERSION nor a file")
    text = read_text(Path(given))
    if given.endswith(".json"):
        try:
            return {"document": json.loads(text)}
        except ValueError as error:
            raise UsageError(f"{given} is no JSON: {error}") from None
    return {"document": text}
