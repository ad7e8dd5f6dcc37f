"""Holds one request and its answer against the contract.

An answer must be documented: its status, its media type, its headers and its body. A request need not be right, but
what the contract refuses the server must refuse too.
"""

import gzip
from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import parse_qsl, unquote

import httpx
import orjson
import yaml
from tests.api.contract.document import Document, Operation

from greenroom_server.errors import Invalid
from greenroom_server.web.yaml_codec import read_yaml

EVENT_STREAM: Final = "text/event-stream"
_WITHOUT_BODY: Final = (204, 304)
_MOST_SHOWN: Final = 8
# The protocol's paths ignore query parameters that they do not know.
_LENIENT: Final = ("/ofrep/", "/api/v1/sdk/")


class ContractBroken(AssertionError):
    """Server and openapi.yaml disagree."""


def check_exchange(contract: Document, request: httpx.Request, response: httpx.Response) -> None:
    """Raises `ContractBroken`, saying all that is wrong."""
    path = request.url.raw_path.partition(b"?")[0].decode("ascii")
    template = contract.template_of(path)
    operation = None if template is None else contract.operation(request.method, template)
    if operation is None:
        wrong = list(_wrong_without_operation(contract, request, response, is_path_known=template is not None))
    else:
        refused = list(wrong_in_request(contract, operation, request, path))
        wrong = list(wrong_in_response(contract, operation, response, is_head=request.method == "HEAD"))
        if refused and response.status_code < 400:
            wrong.append(f"it was accepted although the contract refuses it: {'; '.join(refused)}")
    if wrong:
        name = "no operation" if operation is None else operation.id
        lines = [f"{request.method} {request.url} -> {response.status_code} breaks the contract of `{name}`:"]
        lines += [f"  - {one}" for one in wrong[:_MOST_SHOWN]]
        lines += [f"  request:  {_shown(request.content)}", f"  response: {_shown(response.content)}"]
        raise ContractBroken("\n".join(lines))


def wrong_in_request(contract: Document, operation: Operation, request: httpx.Request, path: str) -> Iterator[str]:
    """What the contract refuses in this request."""
    template_parts, parts = operation.path.split("/"), path.split("/")
    values = {name[1:-1]: unquote(part) for name, part in zip(template_parts, parts, strict=True) if name[:1] == "{"}
    for name, parameter in operation.parameters_in("path").items():
        yield from _wrong_in_value(contract, parameter["schema"], values[name], f"path parameter `{name}`")
    yield from _wrong_in_query(contract, operation, request)
    for name, parameter in operation.parameters_in("header").items():
        value = request.headers.get(name)
        if value is not None:
            yield from _wrong_in_value(contract, parameter["schema"], value, f"header `{name}`")
        elif parameter.get("required", False):
            yield f"the header `{name}` is missing"
    if operation.request_body is not None:
        yield from _wrong_in_body(contract, operation.request_body, request)


def wrong_in_response(
    contract: Document, operation: Operation, response: httpx.Response, *, is_head: bool = False
) -> Iterator[str]:
    """What the contract does not know of this answer."""
    documented = operation.responses.get(str(response.status_code))
    if documented is None:
        yield f"the status {response.status_code} is not documented, only {', '.join(operation.responses)}"
        return
    for name, header in documented.get("headers", {}).items():
        header = contract.resolve(header)
        value = response.headers.get(name)
        if value is not None:
            yield from _wrong_in_value(contract, header["schema"], value, f"header `{name}`")
        elif header.get("required", False):
            yield f"the header `{name}` is missing"
    content = documented.get("content")
    if content is None or is_head:
        if response.content:
            yield "there is a body, and none is documented"
        return
    media_type = _media_type_of(response.headers)
    if media_type not in content:
        yield f"the media type `{media_type}` is not documented, only {', '.join(content)}"
    elif media_type.endswith("json"):
        yield from _wrong_in_json(contract, content[media_type]["schema"], response.content)
        yield from _wrong_in_problem(response)
    elif media_type == "application/yaml":
        # As any reader of YAML would, of 1.1 too, where a bare `on` is a boolean.
        yield from wrong_in(contract, content[media_type]["schema"], yaml.safe_load(response.content))


def wrong_in(contract: Document, schema: Any, value: Any) -> Iterator[str]:
    """What is wrong with a JSON value under a schema; of alternatives, what is wrong with the nearest."""
    for error in contract.validator(schema).iter_errors(value):
        yield from _told(error)


def _told(error: Any) -> Iterator[str]:
    branches = getattr(error.kind, "context", None)
    if branches:
        yield from (line for nearest in min(branches, key=_distance) for line in _told(nearest))
        return
    place = "/".join(("", *map(str, error.instance_path)))
    yield f"at `{place}`: {error.message[:300]}"


def _distance(errors: Any) -> tuple[int, int]:
    # A wrong constant means another alternative; deep errors mean that this is the one.
    constants = sum(1 for error in errors if type(error.kind).__name__.endswith(("Constant", "Enum", "Required")))
    return constants, len(errors)


def _wrong_without_operation(
    contract: Document, request: httpx.Request, response: httpx.Response, *, is_path_known: bool
) -> Iterator[str]:
    if request.method == "OPTIONS" and request.url.path.startswith("/ofrep/") and response.status_code == 204:
        return
    expected = 405 if is_path_known else 404
    is_lenient_path = request.url.path.startswith("/ofrep/")
    if response.status_code not in (expected, 400) and not is_lenient_path:
        yield f"the contract has no such operation, so the answer should be {expected}"
    if expected == 405 and response.status_code == 405 and "allow" not in response.headers:
        yield "the header `Allow` is missing"
    if request.method != "HEAD":
        schemas = [{"$ref": "#/components/schemas/Problem"}]
        if is_lenient_path:
            schemas.append({"$ref": "#/components/schemas/OfrepProblem"})
        yield from _wrong_in_json(contract, schemas[0] if len(schemas) == 1 else {"anyOf": schemas}, response.content)
        yield from _wrong_in_problem(response)


def _wrong_in_query(contract: Document, operation: Operation, request: httpx.Request) -> Iterator[str]:
    known = operation.parameters_in("query")
    pairs = parse_qsl(request.url.query.decode("ascii"), keep_blank_values=True)
    given: dict[str, list[str]] = {}
    for name, value in pairs:
        given.setdefault(name, []).append(value)
    for name in given:
        if name not in known and not operation.path.startswith(_LENIENT):
            yield f"the query parameter `{name}` is not known"
    for name, parameter in known.items():
        values = given.get(name)
        if values is None:
            if parameter.get("required", False):
                yield f"the query parameter `{name}` is missing"
            continue
        schema = contract.resolve(parameter["schema"])
        if schema.get("type") == "array":
            yield from wrong_in(contract, parameter["schema"], values)
        else:
            yield from _wrong_in_value(contract, parameter["schema"], values[-1], f"query parameter `{name}`")


def _wrong_in_value(contract: Document, schema: Any, text: str, what: str) -> Iterator[str]:
    for wrong in wrong_in(contract, schema, _typed(contract.resolve(schema), text)):
        yield f"{what} {wrong}"


def _typed(schema: Mapping[str, Any], text: str) -> Any:
    kind = schema.get("type")
    if kind == "integer" and text.isascii() and text.isdigit():
        return int(text)
    if kind == "boolean" and text in ("true", "false"):
        return text == "true"
    return text


def _wrong_in_body(contract: Document, body: Mapping[str, Any], request: httpx.Request) -> Iterator[str]:
    if not request.content:
        if body.get("required", False):
            yield "the body is missing"
        return
    media_type = _media_type_of(request.headers)
    known = body["content"]
    if media_type not in known and not (media_type == "" and request.url.path.startswith("/ofrep/")):
        yield f"the media type `{media_type}` is not documented, only {', '.join(known)}"
        return
    media = known.get(media_type, next(iter(known.values())))
    if media_type == "application/yaml":
        try:
            yield from wrong_in(contract, media["schema"], read_yaml(request.content, nodes=2_000_000, depth=36))
        except Invalid as error:
            yield error.detail
    elif media_type.endswith("json"):
        try:
            is_packed = request.headers.get("content-encoding") == "gzip"
            content = gzip.decompress(request.content) if is_packed else request.content
        except (EOFError, OSError) as error:
            yield f"the body cannot be unpacked: {error}"
            return
        yield from _wrong_in_json(contract, media["schema"], content)


def _wrong_in_json(contract: Document, schema: Any, data: bytes) -> Iterator[str]:
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        yield f"the body is not JSON: {error}"
        return
    yield from wrong_in(contract, schema, value)


def _wrong_in_problem(response: httpx.Response) -> Iterator[str]:
    if _media_type_of(response.headers) != "application/problem+json":
        if response.status_code >= 400 and response.status_code != 503:
            yield "an error must be a problem document"
        return
    problem = response.json()
    if problem.get("status") != response.status_code:
        yield f"the problem says status {problem.get('status')}"
    if problem.get("type") != f"/problems/{problem.get('code')}":
        yield f"the problem's type `{problem.get('type')}` does not name its code `{problem.get('code')}`"


def _media_type_of(headers: httpx.Headers) -> str:
    return str(headers.get("content-type", "")).partition(";")[0].strip().lower()


def _shown(data: bytes) -> str:
    text = data[:800].decode("utf-8", "replace")
    return text + "…" if len(data) > 800 else text
