"""From JSON to models, with errors that name the place and the limit."""

import tracemalloc
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, field_validator

from greenroom_server.errors import Invalid, LimitExceeded
from greenroom_server.web.validation import parse


class Closed(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Link(Closed):
    url: str


class Cat(Closed):
    kind: Literal["cat"]
    lives: int


class Dog(Closed):
    kind: Literal["dog"]
    tricks: list[str]


class Thing(Closed):
    name: str = Field(max_length=5)
    percent: int = Field(default=0, ge=0, le=100)
    tags: list[str] = Field(default_factory=list, max_length=2)
    links: dict[str, Link] = Field(default_factory=dict)
    pet: Annotated[Cat | Dog, Field(discriminator="kind")] | None = None
    size: int | str | None = None
    key: str = Field(default="a", pattern="^[a-z]+$")

    @field_validator("name")
    @classmethod
    def check_name(cls, name: str) -> str:
        if name == "admin":
            raise ValueError("`admin` is reserved")
        return name


def refusal_of(data: Any) -> Invalid:
    with pytest.raises(Invalid) as refused:
        parse(Thing, data)
    return refused.value


def test_good_data_becomes_the_model() -> None:
    """What fits comes back typed."""
    assert parse(Thing, {"name": "shop", "tags": ["a"]}).tags == ["a"]


@pytest.mark.parametrize(
    ("data", "pointer", "detail"),
    [
        ({"name": "a", "colour": 1}, "/colour", "`colour` is not a member that is known here"),
        ({}, "/name", "`name` is missing"),
        ({"name": "a", "links": {"a/b": {}}}, "/links/a~1b/url", "`url` is missing"),
        ({"name": "a", "pet": {"kind": "cat", "lives": "9"}}, "/pet/lives", "`lives`: input should be a valid integer"),
        ({"name": "admin"}, "/name", "`admin` is reserved"),
        ({"name": "a", "key": "A"}, "/key", "`key` must match the pattern `^[a-z]+$`"),
        ({"name": 1}, "/name", "`name`: input should be a valid string"),
        ({"name": "a", "tags": ["x", 1]}, "/tags/1", "`tags`: input should be a valid string"),
    ],
)
def test_error_names_the_place(data: Any, pointer: str, detail: str) -> None:
    """Each error has a pointer into the body, without the branches of unions."""
    refused = refusal_of(data)

    assert [(error.pointer, error.detail) for error in refused.errors] == [(pointer, detail)]


@pytest.mark.parametrize(
    ("data", "limit", "maximum", "detail"),
    [
        ({"name": "abcdef"}, "name.length", 5, "`name` is limited to 5 characters"),
        ({"name": "a", "tags": ["1", "2", "3"]}, "tags.items", 2, "`tags` is limited to 2 items"),
        ({"name": "a", "percent": 101}, "percent.maximum", 100, "`percent` is limited to 100"),
    ],
)
def test_limit_is_named_with_its_value(data: Any, limit: str, maximum: int, detail: str) -> None:
    """Past a limit, the answer says which one and how much is allowed."""
    refused = refusal_of(data)

    assert isinstance(refused, LimitExceeded)
    assert (refused.limit, refused.maximum, refused.detail) == (limit, maximum, detail)


def test_all_errors_are_listed() -> None:
    """A person can mend everything at once."""
    refused = refusal_of({"percent": -1, "x": 1})

    assert {error.pointer for error in refused.errors} == {"/name", "/percent", "/x"}


def test_list_of_errors_is_bounded() -> None:
    """A thousand mistakes are answered with the first twenty."""
    refused = refusal_of({"name": "a"} | {f"x{index}": 1 for index in range(1000)})

    assert len(refused.errors) == 20


def test_errors_without_end_are_not_made() -> None:
    """A body of half a megabyte in which everything is wrong would be hundreds of megabytes of errors."""
    data = {"name": "a"} | {f"x{index}": 1 for index in range(100_000)}
    tracemalloc.start()
    try:
        refused = refusal_of(data)
        assert tracemalloc.get_traced_memory()[1] < 20 * 1024 * 1024
    finally:
        tracemalloc.stop()
    assert refused.detail == "the request is not valid: 100000 errors, too many to list"


@pytest.mark.parametrize("data", [None, [], "x", 1])
def test_body_of_another_shape_is_refused(data: Any) -> None:
    """Something that is no object points to the whole body."""
    assert [error.pointer for error in refusal_of(data).errors] == [""]


def test_union_without_a_match_points_to_its_value() -> None:
    """Every branch that was tried reports at the same real place."""
    assert {error.pointer for error in refusal_of({"name": "a", "size": [1]}).errors} == {"/size"}
