"""The one way out against real receivers: where it goes, where it never goes, and what it makes of answers."""

import socket
import ssl
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from tests.blackbox.webhooks.certificates import certificate
from tests.blackbox.webhooks.receiver import Answer, Receiver

from greenroom_server.webhooks.address import Egress
from greenroom_server.webhooks.client import Answered, Client, Limits, Question, Resolve
from greenroom_server.webhooks.schedule import Tried

NAME: Final = "hooks.example.test"
DEVELOPMENT: Final = Egress(is_insecure=True)
# Beside the URLs of tests/unit/webhooks: those that only the address behind the name gives away.
FORMS_OF_LOOPBACK: Final = [
    *("127.0.0.1", "127.1", "127.0.1", "2130706433", "0x7f000001", "0x7f.0.0.1", "0177.0.0.1", "017700000001", "0"),
    *("0.0.0.0", "127.0.0.1.", "localhost", "LOCALHOST", "[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]"),
    *("[::127.0.0.1]", "[0:0:0:0:0:0:0:1]", "[64:ff9b::7f00:1]", "user@127.0.0.1", "hooks.example.test@127.0.0.1"),
    *("127.0.0.1%2f", "127。0。0。1", "①②⑦.0.0.1", "127.0.0.2", "127.255.255.254", "[fe80::1%25lo]", "[2002:7f00:1::]"),
]
FORMS_OF_ADDRESS: Final = ["127.0.0.1", "::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "0.0.0.0", "::", "127.0.0.2"]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as made:
        yield made


@asynccontextmanager
async def client_of(
    egress: Egress, *, resolve: Resolve | None = None, tls: ssl.SSLContext | None = None, **limits: float
) -> AsyncIterator[Client]:
    made = Client(egress, user_agent="greenroom tests", limits=Limits(**limits), resolve=resolve, tls=tls)
    try:
        yield made
    finally:
        await made.close()


async def post(client: Client, url: str) -> Tried:
    return await client.post(url, {"webhook-id": "1"}, b'{"type":"test"}', datetime.now(UTC))


class Names:
    """A name server that answers by its list, its last answer for ever, and counts the questions."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append(host)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


def serving(file: Path, names: list[Any] | None = None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    if names is not None:
        context.sni_callback = lambda _, name, __: names.append(name)
    return context


def trusting(file: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(file))


@pytest.mark.asyncio
@pytest.mark.parametrize("host", FORMS_OF_LOOPBACK)
async def test_no_form_of_the_loopback_is_reached(receiver: Receiver, host: str) -> None:
    """However it is spelled, and with the machine's own resolver: the listener there is never connected to."""
    async with client_of(Egress(ports=frozenset({receiver.port}))) as client:
        result = await post(client, f"https://{host}:{receiver.port}/in")

    assert result.problem == "refused"
    assert receiver.connections == 0


@pytest.mark.asyncio
@pytest.mark.parametrize("address", FORMS_OF_ADDRESS)
async def test_no_name_leads_to_the_loopback(receiver: Receiver, address: str) -> None:
    """A name that stands for an address inside is refused, also if it stands for a public one beside it."""
    for answer in ([address], ["93.184.216.34", address], [address, "93.184.216.34"]):
        async with client_of(Egress(ports=frozenset({receiver.port})), resolve=Names(answer)) as client:
            result = await post(client, f"https://{NAME}:{receiver.port}/in")

        assert result.problem == "refused"
    assert receiver.connections == 0


@pytest.mark.asyncio
async def test_a_name_that_flips_is_refused_when_it_does(tmp_path: Path) -> None:
    """Allowed when it was looked at first, inside when it is looked at again: each try is checked by itself."""
    file = certificate(tmp_path, NAME)
    with Receiver("127.0.0.2", tls=serving(file)) as outside, Receiver() as inside:
        egress = Egress.of(["127.0.0.2/32"], ports=[outside.port], is_insecure=False)
        names = Names(["127.0.0.2"], ["127.0.0.1"])
        async with client_of(egress, resolve=names, tls=trusting(file)) as client:
            results = [await post(client, f"https://{NAME}:{outside.port}/in") for _ in range(3)]

        assert [result.problem for result in results] == [None, "refused", "refused"]
        assert (outside.connections, inside.connections) == (1, 0)
        assert names.asked == [NAME] * 3  # once for each try, so nothing can flip in between


@pytest.mark.asyncio
async def test_the_name_stands_where_it_should(tmp_path: Path) -> None:
    """Connected to the address, but with the name in SNI, in the certificate's check and in `Host`."""
    file, asked_for = certificate(tmp_path, NAME), list[Any]()
    with Receiver("127.0.0.2", tls=serving(file, asked_for)) as receiver:
        egress = Egress.of(["127.0.0.2/32"], ports=[receiver.port], is_insecure=False)
        async with client_of(egress, resolve=Names(["127.0.0.2"]), tls=trusting(file)) as client:
            result = await post(client, f"https://{NAME}:{receiver.port}/in?a=1")

        assert result == Tried(204)
        assert asked_for == [NAME]
        (message,) = receiver.messages
        assert (message.path, message.headers["host"]) == ("/in?a=1", f"{NAME}:{receiver.port}")
        assert message.headers["content-type"] == "application/json"
        assert message.headers["user-agent"] == "greenroom tests"


@pytest.mark.asyncio
@pytest.mark.parametrize("is_trusted", [True, False])
async def test_a_wrong_certificate_gets_no_message(tmp_path: Path, is_trusted: bool) -> None:
    """Neither one for another name nor one by an authority that nobody knows."""
    file = certificate(tmp_path, "another.example.test" if is_trusted else NAME)
    with Receiver("127.0.0.2", tls=serving(file)) as receiver:
        egress = Egress.of(["127.0.0.2/32"], ports=[receiver.port], is_insecure=False)
        tls = trusting(file) if is_trusted else None
        async with client_of(egress, resolve=Names(["127.0.0.2"]), tls=tls) as client:
            result = await post(client, f"https://{NAME}:{receiver.port}/in")

        assert result == Tried(problem="tls")
        assert receiver.messages == []


@pytest.mark.asyncio
async def test_a_redirect_is_not_followed(receiver: Receiver) -> None:
    """Whoever redirects to the inside learns nothing, and neither does whoever listens there."""
    with Receiver() as inside:
        receiver.usual = Answer(307, Location=inside.url)
        async with client_of(DEVELOPMENT) as client:
            result = await post(client, receiver.url)

        assert result == Tried(307, "redirect")
        assert inside.connections == 0


@pytest.mark.asyncio
async def test_proxies_of_the_environment_are_not_used(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy would connect to addresses that nobody checked."""
    with Receiver() as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        async with client_of(DEVELOPMENT) as client:
            assert await post(client, receiver.url) == Tried(204)

        assert proxy.connections == 0


@pytest.mark.asyncio
async def test_who_does_not_answer_is_left(receiver: Receiver) -> None:
    """After the time for all of it, though the connection was made."""
    receiver.usual = Answer(hangs=True)
    async with client_of(DEVELOPMENT, total_s=2) as client:
        result = await post(client, receiver.url)

    assert result == Tried(problem="timeout")
    assert len(receiver.messages) == 1


@pytest.mark.asyncio
async def test_an_endless_answer_is_not_read(receiver: Receiver) -> None:
    """Its status counts; what comes after it is left where it is, long before the time is over."""
    receiver.usual = Answer(200, drips=True)
    async with client_of(DEVELOPMENT, total_s=30) as client:
        assert await post(client, receiver.url) == Tried(200)


@pytest.mark.asyncio
async def test_failures_are_told_by_their_class() -> None:
    """A closed port, a name that nobody knows, and a listener that speaks something else."""

    async def unknown(host: str, port: int) -> Sequence[str]:
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    async with client_of(DEVELOPMENT) as client:
        assert await post(client, f"http://127.0.0.1:{port}/in") == Tried(problem="connect")
    async with client_of(DEVELOPMENT, resolve=unknown) as client:
        assert await post(client, f"https://{NAME}/in") == Tried(problem="dns")
    async with client_of(DEVELOPMENT, resolve=Names([])) as client:
        assert await post(client, f"https://{NAME}/in") == Tried(problem="dns")
    with Receiver() as plain:
        async with client_of(DEVELOPMENT) as client:
            assert await post(client, plain.url.replace("http:", "https:")) == Tried(problem="tls")


@pytest.mark.asyncio
async def test_the_next_address_is_tried(receiver: Receiver) -> None:
    """If nobody listens at the first one."""
    async with client_of(DEVELOPMENT, resolve=Names(["127.0.0.3", "127.0.0.1"])) as client:
        assert await post(client, f"http://{NAME}:{receiver.port}/in") == Tried(204)


@pytest.mark.asyncio
async def test_an_answer_that_is_asked_for_is_read(receiver: Receiver) -> None:
    """Of whatever status, with the headers that were given and no others of ours."""
    receiver.plan = [Answer(503, body=b'{"why":"busy"}', retry_after="7")]
    async with client_of(DEVELOPMENT) as client:
        question = Question("GET", receiver.url, {"Authorization": "Bearer 1"})
        answered = await client.ask(question, datetime.now(UTC))

    assert answered == Answered(503, b'{"why":"busy"}', retry_after=timedelta(seconds=7))
    (message,) = receiver.messages
    assert message.headers["authorization"] == "Bearer 1"
    assert "content-type" not in message.headers


@pytest.mark.parametrize(("size", "expected"), [(1000, None), (1001, "protocol")])
@pytest.mark.asyncio
async def test_an_answer_is_read_up_to_a_bound(receiver: Receiver, size: int, expected: str | None) -> None:
    """One byte more, and nothing of it is taken."""
    receiver.plan = [Answer(200, body=b"x" * size)]
    async with client_of(DEVELOPMENT) as client:
        answered = await client.ask(Question("POST", receiver.url, body=b"{}", most=1000), datetime.now(UTC))

    assert answered.problem == expected
    assert len(answered.body) == (size if expected is None else 0)


@pytest.mark.asyncio
async def test_an_answer_that_never_ends_is_given_up(receiver: Receiver) -> None:
    """Neither its length nor its time has any bound but ours."""
    receiver.usual = Answer(200, drips=True)
    async with client_of(DEVELOPMENT, total_s=0.3) as client:
        endless = await client.ask(Question("GET", receiver.url, most=1 << 40), datetime.now(UTC))
        long = await client.ask(Question("GET", receiver.url, most=4096), datetime.now(UTC))

    assert (endless.problem, long.problem) == ("timeout", "protocol")


@pytest.mark.asyncio
async def test_a_question_goes_nowhere_that_a_message_may_not_go(receiver: Receiver) -> None:
    """The same look at the address."""
    async with client_of(Egress(ports=frozenset({receiver.port}))) as client:
        answered = await client.ask(Question("GET", receiver.url.replace("http:", "https:")), datetime.now(UTC))

    assert (answered.problem, receiver.connections) == ("refused", 0)
