"""What a flag is once it has been read: conditions, rules and the finite set of evaluations it can give.

Everything here is immutable and shared between threads, snapshots and callers.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from greenroom.evaluation.operators import Operator


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """What one flag is for one context.

    A flag has finitely many evaluations; they are made when it is read, and the same object is handed out each time,
    so identity is equality and an evaluation can be the key of a cache. `value` is shared too: never change it.
    `flag_type` is None if nothing is served.
    """

    flag_key: str
    value: Any
    variant: str | None
    reason: str
    error_code: str | None
    error_message: str | None
    metadata: Mapping[str, str | int | bool]
    flag_type: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Clause:
    """`{attribute, op, values, ignore_case?}`; `operand` is what the operator made of the values."""

    attribute: str | None
    operator: Operator
    operand: Any
    values: list[Any]
    ignore_case: bool
    uses_clock: bool


@dataclass(frozen=True, slots=True, eq=False)
class AllOf:
    """Every part holds."""

    parts: "tuple[Condition, ...]"


@dataclass(frozen=True, slots=True, eq=False)
class AnyOf:
    """At least one part holds."""

    parts: "tuple[Condition, ...]"


@dataclass(frozen=True, slots=True, eq=False)
class Not:
    """The part does not hold."""

    part: "Condition"


@dataclass(frozen=True, slots=True, eq=False)
class InSegment:
    """The segment's condition holds."""

    key: str


Condition: TypeAlias = Clause | AllOf | AnyOf | Not | InSegment


@dataclass(frozen=True, slots=True, eq=False)
class Segment:
    """A named condition. `error` says why it is unusable; `when` is None then."""

    key: str
    version: int
    when: Condition | None
    segments: frozenset[str]
    uses_clock: bool
    error: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Rollout:
    """Inside are the subjects whose bucket is below `percent`; `attribute` is what they are bucketed by."""

    attribute: str
    group: str
    percent: int


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """A choice between evaluations by weight; `bounds` are the running sums of the weights."""

    attribute: str
    group: str
    bounds: tuple[int, ...]
    evaluations: tuple[Evaluation, ...]


Serve: TypeAlias = Evaluation | Split


@dataclass(frozen=True, slots=True, eq=False)
class Rule:
    """The first rule that matches decides; one without `when` is for everybody."""

    id: str
    description: str | None
    when: Condition | None
    rollout: Rollout | None
    serve: Serve


@dataclass(frozen=True, slots=True, eq=False)
class Prerequisite:
    """Another flag that must be served one of `variants`; `unmet` is the answer if it is not."""

    flag: str
    variants: frozenset[str]
    unmet: Evaluation


@dataclass(frozen=True, slots=True, eq=False)
class Configuration:
    """How a usable flag is evaluated: what `enabled`, prerequisites, rules and fallthrough came to.

    `key_missing` answers when the fallthrough splits and the context lacks the attribute, `failed` when evaluating
    fails for a reason that nobody foresaw. `segments` are those named by the rules themselves.
    """

    is_enabled: bool
    off: Evaluation
    prerequisites: tuple[Prerequisite, ...]
    rules: tuple[Rule, ...]
    fallthrough: Serve
    key_missing: Evaluation
    failed: Evaluation
    segments: frozenset[str]
    uses_clock: bool


@dataclass(frozen=True, slots=True, eq=False)
class Flag:
    """A flag of a snapshot.

    `error` says why it is unusable: `configuration` is None then, and its only evaluation is `PARSE_ERROR`. What could
    be read of the other members is there all the same, the rest has its most careful value.
    """

    key: str
    type: str | None
    version: int
    client_visible: bool
    track_exposures: str
    variants: Mapping[str, Any]
    configuration: Configuration | None
    evaluations: tuple[Evaluation, ...]
    error: str | None = None
