"""Evaluating flags: what both clients offer to applications. In memory, synchronous, never raising, never waiting.

The hot path is a dictionary look-up and a call. Everything else (a flag asked for the first time, errors, the first
evaluation after a fork) is reached through a missing key, so it costs nothing when nothing is the matter.
"""

import logging
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Final, TypeVar

from greenroom.copies import Copier
from greenroom.evaluation import Evaluation, reasons
from greenroom.sinks import Context, ExposureSink, Teller, teller_of
from greenroom.views import Program, View

_log = logging.getLogger("greenroom")

NOBODY: Final[Context] = MappingProxyType({})
T = TypeVar("T")

NOT_READY: Final = "PROVIDER_NOT_READY"


class FlagReader(ABC):
    """Evaluates with the view it has; who changes the view is not decided here.

    The context is the application's own mapping (`targetingKey` and attributes); it is only read. A flag of another
    type, an unknown flag and every other trouble give the default; the details say why. Numbers are exact: an integer
    flag is no float flag. Objects are copies, so they may be changed.
    """

    def __init__(self, sink: ExposureSink | None = None) -> None:
        self._view: View | None = None
        self._programs: dict[str, Program] = {}
        self._copiers: dict[Evaluation, Copier] = {}
        self._sink = sink
        # What is told of evaluations; they are in it from their second time on. None if nobody is told.
        self._tellers: dict[Evaluation, Teller] | None = None if sink is None else {}
        self._is_sink_broken = False

    def bool_value(self, key: str, default: bool, context: Context = NOBODY) -> bool:
        """The value of a boolean flag."""
        try:
            made = self._programs[key](context, 0)
            if made.flag_type == "boolean":
                if self._tellers is not None:
                    self._tellers[made](context)
                value: bool = made.value
                return value
        except Exception:  # noqa: S110  the careful way answers
            pass
        return self._value("boolean", key, default, context)

    def str_value(self, key: str, default: str, context: Context = NOBODY) -> str:
        """The value of a string flag."""
        try:
            made = self._programs[key](context, 0)
            if made.flag_type == "string":
                if self._tellers is not None:
                    self._tellers[made](context)
                value: str = made.value
                return value
        except Exception:  # noqa: S110  the careful way answers
            pass
        return self._value("string", key, default, context)

    def int_value(self, key: str, default: int, context: Context = NOBODY) -> int:
        """The value of an integer flag."""
        try:
            made = self._programs[key](context, 0)
            if made.flag_type == "integer":
                if self._tellers is not None:
                    self._tellers[made](context)
                value: int = made.value
                return value
        except Exception:  # noqa: S110  the careful way answers
            pass
        return self._value("integer", key, default, context)

    def float_value(self, key: str, default: float, context: Context = NOBODY) -> float:
        """The value of a float flag."""
        try:
            made = self._programs[key](context, 0)
            if made.flag_type == "float":
                if self._tellers is not None:
                    self._tellers[made](context)
                value: float = made.value
                return value
        except Exception:  # noqa: S110  the careful way answers
            pass
        return self._value("float", key, default, context)

    def object_value(self, key: str, default: Any, context: Context = NOBODY) -> Any:
        """The value of an object flag, a dictionary: a copy of its own for each call."""
        try:
            made = self._programs[key](context, 0)
            value = self._copiers[made]()  # only evaluations of object flags have a copier
            if self._tellers is not None:
                self._tellers[made](context)
        except Exception:
            return self._value("object", key, default, context)
        return value

    def bool_details(self, key: str, default: bool, context: Context = NOBODY) -> Evaluation:
        """As `bool_value`, with variant, reason, error and metadata."""
        return self._details("boolean", key, default, context)

    def str_details(self, key: str, default: str, context: Context = NOBODY) -> Evaluation:
        """As `str_value`, with variant, reason, error and metadata."""
        return self._details("string", key, default, context)

    def int_details(self, key: str, default: int, context: Context = NOBODY) -> Evaluation:
        """As `int_value`, with variant, reason, error and metadata."""
        return self._details("integer", key, default, context)

    def float_details(self, key: str, default: float, context: Context = NOBODY) -> Evaluation:
        """As `float_value`, with variant, reason, error and metadata."""
        return self._details("float", key, default, context)

    def object_details(self, key: str, default: Any, context: Context = NOBODY) -> Evaluation:
        """As `object_value`, with variant, reason, error and metadata."""
        return self._details("object", key, default, context)

    def all_details(self, context: Context = NOBODY) -> list[Evaluation]:
        """All flags in the order of their keys. This is for looking at; it does not count as exposure."""
        view = self._prepared()
        if view is None:
            return []
        given = {} if context is None else context
        return [_own(view, made) for made in view.evaluate_all(given)]

    def all_values(self, context: Context = NOBODY) -> dict[str, Any]:
        """The values of all flags that have one, by key. This does not count as exposure."""
        view = self._prepared()
        if view is None:
            return {}
        return {
            made.flag_key: view.copy_of(made) if made.flag_type == "object" else made.value
            for made in view.evaluate_all({} if context is None else context)
            if made.flag_type is not None
        }

    def track(self, event: str, context: Context = NOBODY, value: float | None = None) -> None:
        """Tell that something happened that flags may have influenced. Never raises, never waits."""
        if self._sink is not None:
            self._wake()
            try:
                self._sink.tracked(event, {} if context is None else context, value)
            except Exception:
                self._note_broken_sink()

    @abstractmethod
    def _wake(self) -> None:
        """Called before an evaluation that found nothing prepared, and before something is tracked: start what must
        run. Never raises, never waits."""

    @abstractmethod
    def _why_not_ready(self) -> str:
        """What keeps flags from being there."""

    def _show(self, view: View) -> None:
        # An evaluation belongs to one view, so a reader in between finds no copier at worst, and takes the careful way.
        self._view = view
        self._copiers = view.copiers
        self._programs = view.programs

    def _forget_tellers(self) -> None:
        self._tellers = None if self._sink is None else {}

    def _hide(self) -> None:
        """Have the next evaluation take the careful way, and so `_wake`."""
        self._copiers, self._programs = {}, {}

    def _prepared(self) -> View | None:
        view = self._view
        if view is not None and self._programs is view.programs:
            return view
        self._wake()
        while (view := self._view) is not None:
            self._copiers = view.copiers
            self._programs = view.programs
            # INVARIANT: whoever brings a new view sets `_view` first, so an old one cannot be left here.
            if view is self._view:
                break
        return view

    def _value(self, kind: str, key: str, default: T, context: Context) -> T:
        value: T = self._details(kind, key, default, context).value
        return value

    def _details(self, kind: str, key: str, default: Any, context: Context) -> Evaluation:
        try:
            made = self._programs[key](context, 0)
        except Exception:
            made = self._carefully(key, context)
        if made.flag_type != kind:
            made = _with_default(made, kind, default)
        if self._tellers is not None:
            try:
                self._tellers[made](context)
            except Exception:
                self._tell(made, context)
        if kind == "object" and made.error_code is None:
            view = self._view
            return made if view is None else _own(view, made)
        return made

    def _tell(self, made: Evaluation, context: Context) -> None:
        """Tell the sink, and have it told of this evaluation the fast way from now on."""
        sink, tellers = self._sink, self._tellers
        if sink is None or tellers is None:
            return
        try:
            if made.error_code is None:
                tell = tellers[made] = teller_of(sink, made)
                tell(context)
            else:
                sink.exposed(made, context)
        except Exception:
            self._note_broken_sink()

    def _carefully(self, key: Any, context: Context) -> Evaluation:
        try:
            view = self._prepared()
            if view is None:
                return _failed(key, NOT_READY, f"there are no flags yet: {self._why_not_ready()}")
            if not issubclass(type(key), str):
                return _failed(key, reasons.FLAG_NOT_FOUND, "the key of a flag is text")
            return view.evaluate(key, {} if context is None else context)
        except Exception as error:
            # INVARIANT: no evaluation raises, whatever nobody foresaw.
            return _failed(key, reasons.GENERAL, f"evaluating failed: {type(error).__name__}")

    def _note_broken_sink(self) -> None:
        if not self._is_sink_broken:
            self._is_sink_broken = True
            _log.exception("the exposure sink raised an error; this is said once")


def _own(view: View, made: Evaluation) -> Evaluation:
    """With a value of the caller's own; written out, since `replace` costs four times as much."""
    if made.flag_type != "object":
        return made
    value, metadata = view.copy_of(made), made.metadata
    return Evaluation(made.flag_key, value, made.variant, made.reason, None, None, metadata, "object")


def _with_default(made: Evaluation, kind: str, default: Any) -> Evaluation:
    if made.error_code is not None:
        return replace(made, value=default, variant=None, reason=reasons.ERROR)
    message = f"the flag is of type {made.flag_type} and not {kind}"
    failed = _failed(made.flag_key, reasons.TYPE_MISMATCH, message)
    return replace(failed, value=default, metadata=made.metadata)


def _failed(key: Any, code: str, message: str) -> Evaluation:
    nothing: Mapping[str, str | int | bool] = MappingProxyType({})
    named = key if issubclass(type(key), str) else f"({type(key).__name__})"
    return Evaluation(named, None, None, reasons.ERROR, code, message, nothing)
