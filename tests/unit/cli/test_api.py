"""What the API client repeats, and what it makes of answers that are no success."""

import pytest
from tests.unit.cli.scripted import Said, serving

from greenroom.cli.api import Api
from greenroom.cli.errors import CommandError, NothingThere, Unreachable

TOKEN = "gr_mgr_secret"
BUSY = Said.problem(503, "unavailable", "the store cannot be reached right now; try again")


def client(url: str) -> Api:
    """An API that waits for nothing between tries."""
    return Api(url, TOKEN, pauses_s=(0, 0))


@pytest.mark.parametrize("trouble", [BUSY, Said.problem(429, "too_many_requests"), Said(hangs_up=True)])
def test_a_read_is_tried_three_times(trouble: Said) -> None:
    """Two failures are overcome, and a third is not."""
    with serving(trouble, trouble, Said(body={"key": "one"})) as server, client(server.url) as api:
        assert api.get("/api/v1/thing").body == {"key": "one"}
    with serving(trouble) as server, client(server.url) as api:
        with pytest.raises(Unreachable):
            api.get("/api/v1/thing")
        assert len(server.asked) == 3


def test_a_creation_is_repeated_with_the_same_key() -> None:
    """The server can tell that it is the same creation."""
    served_still = Said.problem(409, "key_in_use")
    with serving(Said(hangs_up=True), served_still, Said(201)) as server, client(server.url) as api:
        api.create("/api/v1/things", {"key": "one"})

        keys = {asked.headers["idempotency-key"] for asked in server.asked}
    assert (len(server.asked), len(keys)) == (3, 1)


@pytest.mark.parametrize("trouble", [BUSY, Said(hangs_up=True)])
def test_another_change_is_not_repeated(trouble: Said) -> None:
    """It may have been made, and the error says so where that is not known."""
    with serving(trouble, Said()) as server, client(server.url) as api:
        with pytest.raises(Unreachable) as caught:
            api.change("PATCH", "/api/v1/thing", {"name": "One"}, if_match='"1"')
        assert len(server.asked) == 1
    assert ("may have been made" in caught.value.hint) is trouble.hangs_up


def test_its_dry_run_is_repeated() -> None:
    """It changes nothing, however often it is asked for."""
    with serving(BUSY, Said()) as server, client(server.url) as api:
        api.change("PATCH", "/api/v1/thing", {"name": "One"}, if_match='"1"', dry_run=True)

        assert [asked.path for asked in server.asked] == ["/api/v1/thing?dry_run=true"] * 2


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        (Said.problem(400, "invalid"), CommandError),
        (Said.problem(401, "unauthenticated"), CommandError),
        (Said.problem(403, "forbidden"), CommandError),
        (Said.problem(404, "not_found"), NothingThere),
        (Said.problem(409, "conflict"), CommandError),
        (Said.problem(412, "precondition_failed"), CommandError),
        (Said.problem(500, "internal"), Unreachable),
        (Said(200, "<html>log in</html>", "text/html"), Unreachable),
        (Said(404, "<html>not here</html>", "text/html"), Unreachable),
        (Said(502, "<html>bad gateway</html>", "text/html"), Unreachable),
        (Said(302, "", "text/html", (("Location", "https://elsewhere.example"),)), Unreachable),
        (Said(400, "{", "application/problem+json"), Unreachable),
        (Said(200, "{", "application/json"), Unreachable),
    ],
)
def test_an_answer_that_is_no_success_is_told_apart(said: Said, kind: type[CommandError]) -> None:
    """Problem documents refuse; what is none cannot have come from the API, and redirects are not followed."""
    with serving(said) as server, client(server.url) as api, pytest.raises(CommandError) as caught:
        api.get("/api/v1/thing")

    assert type(caught.value) is kind
    assert TOKEN not in f"{caught.value.detail} {caught.value.hint}"


def test_nobody_there_is_told_with_the_address() -> None:
    """A closed port ends in words."""
    with serving(Said()) as server:
        url = server.url
    with client(url) as api, pytest.raises(Unreachable, match=f"no answer from {url}"):
        api.change("POST", "/api/v1/thing")


def test_a_list_is_read_page_by_page() -> None:
    """Cursors are followed to the end, or to the limit."""
    pages = (Said(body={"items": [1, 2], "next_cursor": "more"}), Said(body={"items": [3], "next_cursor": None}))
    with serving(*pages) as server, client(server.url) as api:
        assert api.pages("/api/v1/things", tag=["a", "b"], text=None) == {"items": [1, 2, 3], "next_cursor": None}
        assert [asked.path for asked in server.asked] == [
            "/api/v1/things?tag=a&tag=b&limit=200",
            "/api/v1/things?tag=a&tag=b&limit=200&cursor=more",
        ]
    with serving(*pages) as server, client(server.url) as api:
        assert api.pages("/api/v1/things", limit=2) == {"items": [1, 2], "next_cursor": "more"}
