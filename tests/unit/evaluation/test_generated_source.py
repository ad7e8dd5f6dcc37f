"""Generated code: no text of a user ever becomes source, equal shapes share code, and size is bounded."""

import ast
import re
from typing import Any

import pytest
from hypothesis import given
from tests.unit.evaluation.documents import NOW, clause, flag, rule, segment, snapshot
from tests.unit.evaluation.strategies import FLAG_KEYS, examples, worlds

from greenroom.evaluation import evaluate, source
from greenroom.evaluation.walk import Walk

EVIL = "a'];__import__('os').abort()#\n\"\"\"{k0}\\"
NAMES = re.compile(r"make|program|type|str|int|float|bool|now|[cbhtp]|[ak][0-9]+")
ATTRIBUTES = {"get", "encode", "startswith", "endswith", "variant"}
CONSTANTS = {0, 8, 10, 100, 1000, 86028157}


def note_sources(patch: pytest.MonkeyPatch) -> list[str]:
    """A list to which every source is added that is compiled from now on."""
    seen: list[str] = []
    factory = source._factory

    def noting(text: str) -> Any:
        seen.append(text)
        return factory(text)

    patch.setattr(source, "_factory", noting)
    return seen


@pytest.fixture
def sources(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every source that is compiled during the test."""
    return note_sources(monkeypatch)


def assert_harmless(text: str) -> None:
    """Only known names, known attributes, integers and None."""
    for node in ast.walk(ast.parse(text)):
        match node:
            case ast.Name():
                assert NAMES.fullmatch(node.id)
            case ast.arg():
                assert NAMES.fullmatch(node.arg)
            case ast.Attribute():
                assert node.attr in ATTRIBUTES
            case ast.Constant():
                assert node.value is None or node.value is True or type(node.value) is int
            case ast.Import() | ast.ImportFrom() | ast.Lambda() | ast.JoinedStr() | ast.Global():
                pytest.fail(f"{type(node).__name__} in {text}")


def test_hostile_text_never_becomes_source(sources: list[str]) -> None:
    """Wherever an author may write text."""
    evil = {"bucket_by": EVIL, "group": EVIL}
    made = flag(
        type="string",
        variants={"v'": EVIL, "w\\": EVIL},
        off_variant="v'",
        prerequisites=[{"flag": "g", "variants": [EVIL]}],
        rules=[
            rule("a", "v'", when=clause(op, EVIL, attribute=EVIL), description=EVIL, rollout={"percent": 7, **evil})
            for op in ("in", "contains", "starts_with", "ends_with")
        ][:1]
        + [
            rule(f"r{index}", "v'", when=clause(op, EVIL, "x", attribute=f"{EVIL}.{index}"))
            for index, op in enumerate(("in", "contains", "starts_with", "ends_with"))
        ],
        fallthrough={"split": [{"variant": "v'", "weight": 1}, {"variant": "w\\", "weight": 99_999}], **evil},
    )
    loaded = snapshot(made, flag("g", rules=[rule(when=clause("in", EVIL, attribute=EVIL))]))

    evaluate(loaded, "f", {EVIL: EVIL}, NOW)

    assert loaded.warnings == ()
    assert len(sources) == 2
    for text in sources:
        assert_harmless(text)
        assert "import" not in text


@examples(25)
@given(world=worlds())
def test_every_source_is_harmless(world: Any) -> None:
    """Whatever the flag."""
    loaded = snapshot(*world[0], segments=world[1])
    with pytest.MonkeyPatch.context() as patch:
        seen = note_sources(patch)
        for key in FLAG_KEYS:
            evaluate(loaded, key, {}, NOW)

    for text in seen:
        assert_harmless(text)


def test_flags_of_one_shape_share_their_code(sources: list[str]) -> None:
    """Names and values are bound, not written."""
    flags = [
        flag(f"f{number}", rules=[rule(when=clause("in", f"a{number}", attribute=f"x{number}"))], fallthrough=dark)
        for number in range(10)
        for dark in [{"variant": "off"}]
    ]
    loaded = snapshot(*flags)

    for number in range(10):
        assert evaluate(loaded, f"f{number}", {f"x{number}": f"a{number}"}, NOW).value is True
        assert evaluate(loaded, f"f{number}", {"x0": "a1"}, NOW).value is False

    assert len(set(sources)) == 1
    assert len({loaded.programs[f"f{number}"].__code__ for number in range(10)}) == 1


def test_a_flag_that_never_varies_needs_no_code(sources: list[str]) -> None:
    """Nor does one that stands on such flags only."""
    loaded = snapshot(
        flag("a", prerequisites=[{"flag": "b", "variants": ["on"]}]),
        flag("b"),
        flag("c", prerequisites=[{"flag": "b", "variants": ["off"]}], rules=[rule(when=clause("in", "x"))]),
        flag("d", rules=[rule("first", "off"), rule("second")]),
        flag("e", rules=[rule(rollout={"percent": 0})]),
        flag("z", enabled=False, rules=[rule(when=clause("in", "x"))]),
    )

    assert [evaluate(loaded, key, {}, NOW).variant for key in "abcdez"] == ["on", "on", "off", "off", "on", "off"]
    assert sources == []


def test_a_condition_that_repeats_large_segments_is_walked(sources: list[str]) -> None:
    """Eight levels of twenty references each would be 20^8 steps; the walk looks at each segment once."""
    levels = [segment(f"s{level}", {"all": [{"segment": f"s{level + 1}"}] * 20}) for level in range(8)]
    made = flag(rules=[rule(when={"segment": "s0"})], fallthrough={"variant": "off"})
    loaded = snapshot(made, segments=[*levels, segment("s8", clause("in", "x"))])

    assert evaluate(loaded, "f", {"x": "x"}, NOW).value is True
    assert evaluate(loaded, "f", {"x": "y"}, NOW).value is False
    assert sources == []


def test_prerequisites_that_fan_out_are_walked() -> None:
    """Eight levels of ten flags each would be 10^8 steps; the walk looks at each flag once."""
    flags = [
        flag(
            f"f{level}-{number}",
            prerequisites=[{"flag": f"f{level + 1}-{other}", "variants": ["on"]} for other in range(10)]
            if level < 8
            else [],
            rules=[rule(when=clause("in", "x"))],
            fallthrough={"variant": "off"},
        )
        for level in range(9)
        for number in range(10)
    ]
    loaded = snapshot(*flags)

    assert evaluate(loaded, "f0-0", {"x": "x"}, NOW).value is True
    assert evaluate(loaded, "f0-0", {"x": "y"}, NOW).value is False


def test_a_flag_of_very_many_clauses_is_walked(sources: list[str]) -> None:
    """Compiling it would take longer than it is worth."""
    many = [{"any": [clause("in", str(number + extra)) for number in range(1000)]} for extra in range(0, 3000, 1000)]
    loaded = snapshot(flag(rules=[rule(when={"any": many})], fallthrough={"variant": "off"}))

    assert evaluate(loaded, "f", {"x": "2999"}, NOW).value is True
    assert sources == []


def test_a_large_segment_is_a_function_of_its_own(sources: list[str]) -> None:
    """Small ones are written out in place."""
    large = {"any": [clause("in", str(number), attribute=f"x{number % 3}") for number in range(5)]}
    loaded = snapshot(
        flag("a", rules=[rule(when={"segment": "large"})], fallthrough={"variant": "off"}),
        flag("b", rules=[rule(when={"all": [{"segment": "large"}, {"segment": "large"}]})]),
        flag("c", rules=[rule(when={"segment": "small"})]),
        segments=[segment("large", large), segment("small", clause("in", "y"))],
    )

    for context in ({"x0": "0"}, {"x1": "4"}, {"x2": "0"}, {}):
        for key in "abc":
            walk = Walk(loaded.flags, loaded.segments, context, NOW)
            assert evaluate(loaded, key, context, NOW) is walk.evaluate(loaded.flags[key])
    assert len([text for text in sources if "return k" not in text]) == 2
