"""Greenroom as an OpenFeature provider (extra `openfeature`).

    api.set_provider_and_wait(GreenroomProvider(Client()))

Evaluates in memory. The native client is some fifty times faster than OpenFeature's layer around it.
"""

import threading
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from openfeature.evaluation_context import EvaluationContext
from openfeature.event import ProviderEventDetails
from openfeature.exception import ErrorCode, GeneralError, ProviderFatalError
from openfeature.flag_evaluation import FlagResolutionDetails
from openfeature.provider import AbstractProvider, Metadata
from openfeature.track import TrackingEventDetails

from greenroom.client import Client
from greenroom.evaluation import Evaluation
from greenroom.status import Status

NAME: Final = "greenroom"
STALE: Final = "STALE"
SETTLE_S: Final = 0.1
"""The SDK reports READY right after `initialize`; what is stale from the start says so this much later."""

_ObjectValue = Sequence[Any] | Mapping[str, Any]


class GreenroomProvider(AbstractProvider):
    """Resolves with a client, which it starts at `initialize` and closes at `shutdown`."""

    def __init__(self, client: Client, *, ready_timeout_s: float = 10.0) -> None:
        super().__init__()
        self._client = client
        self._ready_timeout_s = ready_timeout_s
        self._is_settled = False
        self._ends = [client.on_status(self._tell_status), client.on_update(self._tell_changes)]

    def get_metadata(self) -> Metadata:
        """The provider's name."""
        return Metadata(name=NAME)

    def initialize(self, evaluation_context: EvaluationContext) -> None:
        """Wait for flags. Raises ProviderFatalError if the key is refused, GeneralError if none came in time."""
        client = self._client
        try:
            if not client.wait_ready(self._ready_timeout_s):
                status = client.status
                error = ProviderFatalError if status.is_refused else GeneralError
                raise error(f"there are no flags: {status.cause or 'the server has not answered yet'}")
        finally:
            self._is_settled = True
        if client.state == "stale":
            later = threading.Timer(SETTLE_S, self._tell_if_stale)
            later.daemon = True
            later.start()

    def shutdown(self) -> None:
        """Close the client; what it has still to report is sent first."""
        self._is_settled = False
        for end in self._ends:
            end()
        self._client.close()

    def track(
        self,
        tracking_event_name: str,
        evaluation_context: EvaluationContext | None = None,
        tracking_event_details: TrackingEventDetails | None = None,
    ) -> None:
        """Hand an outcome on to the client."""
        value = None if tracking_event_details is None else tracking_event_details.value
        self._client.track(tracking_event_name, _context_of(evaluation_context), value)

    def resolve_boolean_details(
        self, flag_key: str, default_value: bool, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[bool]:
        """A boolean flag."""
        context = _context_of(evaluation_context)
        return self._resolution(self._client.bool_details(flag_key, default_value, context), context)

    def resolve_string_details(
        self, flag_key: str, default_value: str, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[str]:
        """A string flag."""
        context = _context_of(evaluation_context)
        return self._resolution(self._client.str_details(flag_key, default_value, context), context)

    def resolve_integer_details(
        self, flag_key: str, default_value: int, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[int]:
        """An integer flag."""
        context = _context_of(evaluation_context)
        return self._resolution(self._client.int_details(flag_key, default_value, context), context)

    def resolve_float_details(
        self, flag_key: str, default_value: float, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[float]:
        """A float flag."""
        context = _context_of(evaluation_context)
        return self._resolution(self._client.float_details(flag_key, default_value, context), context)

    def resolve_object_details(
        self, flag_key: str, default_value: _ObjectValue, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[_ObjectValue]:
        """An object flag: a dictionary."""
        context = _context_of(evaluation_context)
        return self._resolution(self._client.object_details(flag_key, default_value, context), context)

    # In memory, so nothing is waited for: the asynchronous resolvers are the same.

    async def resolve_boolean_details_async(
        self, flag_key: str, default_value: bool, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[bool]:
        """A boolean flag."""
        return self.resolve_boolean_details(flag_key, default_value, evaluation_context)

    async def resolve_string_details_async(
        self, flag_key: str, default_value: str, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[str]:
        """A string flag."""
        return self.resolve_string_details(flag_key, default_value, evaluation_context)

    async def resolve_integer_details_async(
        self, flag_key: str, default_value: int, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[int]:
        """An integer flag."""
        return self.resolve_integer_details(flag_key, default_value, evaluation_context)

    async def resolve_float_details_async(
        self, flag_key: str, default_value: float, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[float]:
        """A float flag."""
        return self.resolve_float_details(flag_key, default_value, evaluation_context)

    async def resolve_object_details_async(
        self, flag_key: str, default_value: _ObjectValue, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[_ObjectValue]:
        """An object flag: a dictionary."""
        return self.resolve_object_details(flag_key, default_value, evaluation_context)

    def _resolution(self, made: Evaluation, context: Mapping[str, Any]) -> FlagResolutionDetails[Any]:
        metadata: dict[str, bool | int | float | str] = dict(made.metadata)
        flag_set = self._client.flag_set
        if flag_set is not None:
            metadata["flagSetId"] = flag_set
        if "targetingKey" in context:
            metadata["contextId"] = self._client.tellable_key(str(context["targetingKey"]))
        reason = made.reason
        if self._client.state == "stale" and made.error_code is None:
            metadata["reason"], reason = reason, STALE
        code = None if made.error_code is None else ErrorCode(made.error_code)
        return FlagResolutionDetails(made.value, code, made.error_message, reason, made.variant, metadata)

    def _tell_status(self, status: Status) -> None:
        if not self._is_settled:
            return  # `initialize` tells by how it ends
        told = ProviderEventDetails(message=status.cause)
        if status.state == "ready":
            self.emit_provider_ready(told)
        elif status.state == "stale":
            self.emit_provider_stale(told)
        else:
            told.error_code = ErrorCode.PROVIDER_FATAL if status.is_refused else ErrorCode.GENERAL
            self.emit_provider_error(told)

    def _tell_if_stale(self) -> None:
        status = self._client.status
        if status.state == "stale":
            self._tell_status(status)

    def _tell_changes(self, changed: frozenset[str]) -> None:
        if self._is_settled:
            self.emit_provider_configuration_changed(ProviderEventDetails(flags_changed=sorted(changed)))


def _context_of(given: EvaluationContext | None) -> Mapping[str, Any]:
    if given is None:
        return {}
    context = {name: _plain(value) for name, value in given.attributes.items()}
    if given.targeting_key is not None:
        context["targetingKey"] = given.targeting_key
    return context


def _plain(value: Any) -> Any:
    """OpenFeature allows moments; the engine reads them as text."""
    if isinstance(value, datetime):
        return value.astimezone().isoformat()
    if isinstance(value, Mapping):
        return {name: _plain(part) for name, part in value.items()}
    return [_plain(part) for part in value] if isinstance(value, list | tuple) else value
