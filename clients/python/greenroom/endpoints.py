"""Where the server is, and the way there: URL, proxy, TLS and timeouts."""

import os
import re
import ssl
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, Self
from urllib.parse import SplitResult, unquote, urlsplit

from greenroom.errors import ConfigurationError

_PORTS: Final = {"http": 80, "https": 443}
_SENDABLE: Final = re.compile(r"[!-~]+")


@dataclass(frozen=True, slots=True)
class Transport:
    """How connections are made. `proxy` is a URL, None for none, or `environment` for HTTP_PROXY and its kin.

    `connect_timeout_s` is for a connection with all its handshakes, `answer_timeout_s` for a whole answer or the
    beginning of a stream.
    """

    proxy: str | None = "environment"
    tls: ssl.SSLContext | None = field(default=None, repr=False)
    connect_timeout_s: float = 5.0
    answer_timeout_s: float = 20.0


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A host to connect to. `path` comes before the paths of the API; `authorization` is for a proxy."""

    host: str
    port: int
    is_tls: bool
    path: str = ""
    authorization: str | None = field(default=None, repr=False)

    @property
    def authority(self) -> str:
        """The host as a `Host` header has it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS["https" if self.is_tls else "http"] else f"{host}:{self.port}"

    @property
    def address(self) -> str:
        """Host and port, always both."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @classmethod
    def of_server(cls, url: str) -> Self:
        """From the server's URL; raises ConfigurationError."""
        parts, port = _split(url, ("http", "https"))
        if parts.username or parts.query or parts.fragment:
            raise ConfigurationError(f"the server's URL `{_shown(parts)}` must be a plain address")
        return cls(parts.hostname or "", port, parts.scheme == "https", parts.path.rstrip("/"))

    @classmethod
    def of_proxy(cls, url: str) -> Self:
        """From a proxy's URL; raises ConfigurationError."""
        parts, port = _split(url if "://" in url else f"http://{url}", ("http",))
        authorization = None
        if parts.username is not None:
            pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            authorization = f"Basic {b64encode(pair.encode()).decode()}"
        return cls(parts.hostname or "", port, False, authorization=authorization)


def proxy_for(server: Endpoint, proxy: str | None, environment: Mapping[str, str] | None = None) -> Endpoint | None:
    """The proxy to use for the server; raises ConfigurationError if it is none that can be used."""
    if proxy is None:
        return None
    if proxy != "environment":
        return Endpoint.of_proxy(proxy)
    variables = os.environ if environment is None else environment
    name = "https_proxy" if server.is_tls else "http_proxy"
    # Upper-case HTTP_PROXY can be set by a CGI request's `Proxy` header, so there only the lower case counts.
    is_cgi = "REQUEST_METHOD" in variables and not server.is_tls
    url = variables.get(name) or ("" if is_cgi else variables.get(name.upper(), ""))
    excluded = variables.get("no_proxy") or variables.get("NO_PROXY", "")
    if not url or any(_is_excluded(server, entry.strip()) for entry in excluded.split(",")):
        return None
    return Endpoint.of_proxy(url)


def check_key(key: str) -> str:
    """The SDK key, if it can be sent at all; the message never shows it."""
    if not _SENDABLE.fullmatch(key):
        raise ConfigurationError("the SDK key is empty, or has characters that no key has")
    return key


def _is_excluded(server: Endpoint, entry: str) -> bool:
    host, _, port = entry.lower().partition(":")
    if port and port != str(server.port):
        return False
    name = host.removeprefix("*").lstrip(".")
    return entry == "*" or (bool(name) and (server.host == name or server.host.endswith(f".{name}")))


def _split(url: str, schemes: tuple[Literal["http", "https"], ...]) -> tuple[SplitResult, int]:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ConfigurationError("the URL cannot be read") from error
    if parts.scheme not in schemes or not parts.hostname:
        raise ConfigurationError(f"`{_shown(parts)}` is no URL that begins with {' or '.join(schemes)}://")
    if not _SENDABLE.fullmatch(url):
        raise ConfigurationError(f"`{_shown(parts)}` has characters that no URL has")
    return parts, _PORTS[parts.scheme] if port is None else port


def _shown(parts: SplitResult) -> str:
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
