"""Where webhooks may go: the form of a URL, and the addresses that may be connected to. Pure.

A URL's text is checked when it is saved, so that its author learns at once, and again with every sending. What guards
the network is the look at the addresses its name stands for, which `client.py` takes on the way into the connection.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import Final
from urllib.parse import SplitResult, urlsplit

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

MAX_URL_LENGTH: Final = 2000
DEFAULT_PORTS: Final = {"https": 443, "http": 80}

_LABEL: Final = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_HOST: Final = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_PATTERN: Final = re.compile(rf"(?:\*\.)?{_LABEL}(?:\.{_LABEL})*")
# What resolvers read as an IPv4 address, though it is none as people write it: `2130706433`, `0x7f.1`, `127.1`.
_NUMERIC_END: Final = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)")
_TEXT: Final = re.compile(r"[\x21-\x7e]+")


def _networks(*texts: str) -> tuple[Network, ...]:
    return tuple(ip_network(text) for text in texts)


# Never anybody's receiver: this host, link-local (cloud metadata), multicast, relays, metadata outside of link-local.
_NEVER: Final = _networks(
    *("0.0.0.0/8", "169.254.0.0/16", "192.88.99.0/24", "224.0.0.0/4", "240.0.0.0/4"),
    *("100.100.100.200/32", "168.63.129.16/32", "192.0.0.192/32"),
    *("::/128", "fe80::/10", "fec0::/10", "ff00::/8", "fd00:ec2::254/128", "fd20:ce::254/128"),
    *("2001::/32", "2002::/16", "64:ff9b:1::/48"),
)
_PRIVATE: Final = _networks(
    *("10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"),
    *("192.0.0.0/24", "192.0.2.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24"),
    *("::1/128", "fc00::/7", "2001:db8::/32", "3fff::/20"),
)
_GLOBAL: Final = IPv6Network("2000::/3")
_NAT64: Final = IPv6Network("64:ff9b::/96")


class Refused(ValueError):
    """Says in words why nothing is sent there."""


@dataclass(frozen=True, slots=True)
class Target:
    """A URL taken apart; `host` is a name or an address without brackets, `path` holds the query too."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def authority(self) -> str:
        """As the `Host` header has it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Egress:
    """What the operator allows. `hosts` and `networks`, if there are any, are all that may be reached.

    A listed network that is private opens just itself; `takes_http` opens `http:`, and `is_insecure` (for development)
    `http:`, every port and all private addresses. Link-local, multicast and metadata addresses stay closed whatever is
    set.
    """

    ports: frozenset[int] = frozenset({443, 8443})
    hosts: tuple[str, ...] = ()
    networks: tuple[Network, ...] = ()
    is_insecure: bool = False
    takes_http: bool = False

    @classmethod
    def of(
        cls, allowed: Iterable[str], *, ports: Iterable[int], is_insecure: bool, takes_http: bool = False
    ) -> "Egress":
        """From the settings: `allowed` are host names, `*.example.com`, addresses and networks; raises ValueError."""
        hosts, networks = [], []
        for text in allowed:
            try:
                networks.append(ip_network(text))
            except ValueError:
                if _PATTERN.fullmatch(text.lower()) is None or _NUMERIC_END.fullmatch(text.lower()):
                    raise ValueError(f"`{text}` is no host name, address or network") from None
                hosts.append(text.lower())
        return cls(frozenset(ports), tuple(hosts), tuple(networks), is_insecure, takes_http)

    def target_of(self, url: str) -> Target:
        """The URL taken apart, if its text is one that something may be sent to; raises `Refused`."""
        parts = _split(url)
        host = _host_of(parts)
        may_be_plain = self.is_insecure or self.takes_http
        if parts.scheme != "https" and not (may_be_plain and parts.scheme == "http"):
            raise Refused("it must begin with `https://`")
        port = _port_of(parts)
        if port not in self.ports and not self.is_insecure:
            known = ", ".join(str(one) for one in sorted(self.ports))
            raise Refused(f"the port {port} is not one that this server sends to: {known}")
        if self.hosts and not self.networks and not self._names(host):
            raise Refused(f"`{host}` is not among the hosts that this server sends to")
        if _is_address(host):
            self.check_address(host, host)
        path = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
        return Target(parts.scheme, host, port, path)

    def check_address(self, text: str, host: str) -> None:
        """Raises `Refused` unless this address, which `host` stands for, may be connected to."""
        try:
            address = _unwrapped(ip_address(text))
        except ValueError:
            raise Refused("its address cannot be read") from None
        if any(address in network for network in _NEVER) or _is_odd(address):
            raise Refused("it is at an address that nothing is ever sent to")
        listed = [network for network in self.networks if address in network]
        if (self.hosts or self.networks) and not listed and not self._names(host):
            raise Refused("it is at an address that this server does not send to")
        is_opened = self.is_insecure or any(map(_is_private, listed))
        if not is_opened and any(address in network for network in _PRIVATE):
            raise Refused("it is at a private address")

    def _names(self, host: str) -> bool:
        return any(host == one or (one[:2] == "*." and host.endswith(one[1:])) for one in self.hosts)


def _split(url: str) -> SplitResult:
    if len(url) > MAX_URL_LENGTH:
        raise Refused(f"it is limited to {MAX_URL_LENGTH} characters")
    if _TEXT.fullmatch(url) is None or "\\" in url:
        raise Refused("it must be of visible ASCII characters, without backslashes")
    try:
        parts = urlsplit(url)
    except ValueError:
        raise Refused("it is no URL") from None
    if "@" in parts.netloc:
        raise Refused("it must not hold a user name or password")
    if "#" in url:
        raise Refused("it must not have a fragment")
    return parts


def _host_of(parts: SplitResult) -> str:
    host = parts.hostname or ""
    if parts.netloc.startswith("["):
        if "%" in host or not _is_address(host):
            raise Refused("its IPv6 address cannot be read")
        return host
    if len(host) > 253 or _HOST.fullmatch(host) is None:
        raise Refused("its host must be a name in ASCII (`xn--…`) or an address, without a dot at the end")
    if _NUMERIC_END.fullmatch(host) and not _is_address(host):
        raise Refused("its host must be a name, or an address as `192.0.2.1`")
    return host


def _port_of(parts: SplitResult) -> int:
    try:
        port = parts.port
    except ValueError:
        port = 0
    if port == 0 or parts.netloc.endswith(":"):
        raise Refused("its port must be a number from 1 to 65535")
    return port or DEFAULT_PORTS.get(parts.scheme, 0)


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _unwrapped(address: Address) -> Address:
    """The IPv4 address behind an IPv6 one that only carries it; that is where the connection would lead."""
    if isinstance(address, IPv6Address):
        if address.scope_id is not None:
            raise ValueError
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address in _NAT64:
            return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address


def _is_odd(address: Address) -> bool:
    """Whether it is IPv6 and neither global nor private, such as an IPv4 address in a form of long ago."""
    if isinstance(address, IPv4Address):
        return False
    return address not in _GLOBAL and not any(address in network for network in _PRIVATE)


def _is_private(network: Network) -> bool:
    for other in _PRIVATE:
        if isinstance(network, IPv4Network) and isinstance(other, IPv4Network) and network.subnet_of(other):
            return True
        if isinstance(network, IPv6Network) and isinstance(other, IPv6Network) and network.subnet_of(other):
            return True
    return False
