"""How commands end: exit codes and texts for all that a server, or something in its place, may answer."""

import json
import socket
import subprocess
import sys

import pytest
from tests.blackbox.cli.terminal import Inside
from tests.unit.cli.scripted import Said, serving

TOKEN = "gr_mgr_3jXcretTokenThatMustNotBeSeen"
LIMITED = Said.problem(
    400,
    "limit_exceeded",
    "`rules` is limited to 100",
    errors=[{"pointer": "/rules", "detail": "`rules` is limited to 100"}],
    limit="rules",
    maximum=100,
)
ENDINGS = [
    (Said.problem(400, "invalid", errors=[{"pointer": "/key", "detail": "no key"}]), 1, "/key: no key"),
    (LIMITED, 1, "at /rules\n  limit: rules, at most 100"),
    (Said.problem(401, "unauthenticated"), 1, "hint: log in again"),
    (Said.problem(403, "forbidden"), 1, "`greenroom whoami`"),
    (Said.problem(404, "not_found"), 4, "404 not_found"),
    (Said.problem(409, "key_taken"), 1, "409 key_taken"),
    (Said.problem(412, "precondition_failed"), 1, "look at it again"),
    (Said.problem(500, "internal"), 3, "500 internal"),
    (Said(200, "<html>log in</html>", "text/html"), 3, "`text/html` that cannot be read"),
    (Said(200, {"hello": "world"}), 3, "no member `environments`"),
    (Said(200, ["hello"]), 3, "cannot be read"),
    (Said(404, "<html>nothing</html>", "text/html"), 3, "no problem document"),
]


def at(url: str) -> Inside:
    return Inside(GREENROOM_URL=url, GREENROOM_TOKEN=TOKEN, GREENROOM_PROJECT="shop")


@pytest.mark.parametrize(("said", "code", "text"), ENDINGS)
def test_an_answer_decides_how_a_command_ends(said: Said, code: int, text: str) -> None:
    """The text names what the server named; nothing is printed as a result, and no token anywhere."""
    with serving(said) as server:
        ended = at(server.url).run("flags", "show", "x").expect(code)

        assert server.asked[0].headers["authorization"] == f"Bearer {TOKEN}"
    assert text in ended.err
    assert ended.out == ""
    assert TOKEN not in ended.err


def test_with_json_the_error_is_the_problem_document() -> None:
    """As it came; errors that no server sent have the same members."""
    with serving(LIMITED) as server:
        assert json.loads(at(server.url).run("flags", "show", "x", "--json").expect(1).err) == LIMITED.body
        own = json.loads(at(server.url).having(GREENROOM_PROJECT="").run("flags", "list", "--json").expect(2).err)
    assert {"type", "title", "detail"} == set(own)


@pytest.mark.parametrize("trouble", [Said.problem(503, "unavailable"), Said.problem(429, "too_many_requests")])
def test_not_now_is_told_after_three_tries(trouble: Said) -> None:
    """Such an answer is one to come back for."""
    with serving(trouble) as server:
        ended = at(server.url).run("flags", "show", "x").expect(3)

        assert len(server.asked) == 3
    assert str(trouble.status) in ended.err


def test_a_silent_server_is_waited_for_as_long_as_was_said() -> None:
    """Then the command ends as if nobody were there."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        ended = at(url).run("flags", "show", "x", "--timeout", "0.1").expect(3)
    assert f"no answer from {url}: " in ended.err


def test_an_unusable_proxy_is_a_matter_of_usage(monkeypatch: pytest.MonkeyPatch) -> None:
    """The text names the variables, and not the proxy's password."""
    monkeypatch.setenv("HTTP_PROXY", "gopher://ada:pass@proxy.example")
    ended = at("http://here.example").run("flags", "list").expect(2)

    assert "HTTP_PROXY" in ended.err
    assert "pass" not in ended.err


@pytest.mark.parametrize(
    "command",
    [("flags",), ("flags", "nonsense"), ("flags", "rollout", "x", "101"), ("flags", "list", "--purpose", "fun")],
)
def test_what_cannot_be_typed_is_a_matter_of_usage(command: tuple[str, ...]) -> None:
    """No request is made."""
    at("http://127.0.0.1:1").run(*command).expect(2)


@pytest.mark.parametrize("needed", ["typer", "rich", "httpx"])
def test_a_missing_extra_is_told_in_words(needed: str) -> None:
    """The console script says what to install."""
    program = f"import sys; sys.modules[{needed!r}] = None; from greenroom.cli.entry import main; main()"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30)

    assert ended.returncode == 2
    assert ended.stderr == f"greenroom: `{needed}` is missing: pip install 'greenroom[cli]'\n"


def test_the_sdk_needs_none_of_it() -> None:
    """Whoever only evaluates loads neither the command line nor what it is made of."""
    program = "import greenroom, sys; greenroom.Client; print(sorted({'typer', 'rich', 'httpx'} & set(sys.modules)))"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30)

    assert ended.stdout == "[]\n", ended.stderr
