"""IP networks: the values of `cidr`, IPv4 and IPv6.

A single address is a network of one. Host bits are ignored (`10.1.2.3/8` is `10.0.0.0/8`). An IPv4 address that
arrives inside IPv6 (`::ffff:10.1.2.3`) is the IPv4 address, on both sides.
"""

import re
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TypeAlias

Address: TypeAlias = tuple[int, int]
"""Bits of the family (32 or 128), and the number."""

Networks: TypeAlias = tuple[tuple[int, int, frozenset[int]], ...]
"""(bits of the family, bits to shift away, the numbers that remain of the networks of that size)."""

_NETWORK = re.compile(r"[0-9A-Fa-f:.]{2,45}(?:/(?:0|[1-9][0-9]{0,2}))?")
_MAPPED = int(IPv6Address("::ffff:0:0")) >> 32


@lru_cache(maxsize=1024)
def parse_address(text: str) -> Address | None:
    """The address that the text names, or None."""
    if len(text) > 45 or "%" in text:
        return None
    try:
        address = ip_address(text)
    except ValueError:
        return None
    number = int(address)
    if address.version == 6 and number >> 32 == _MAPPED:
        return 32, number & 0xFFFFFFFF
    return address.max_prefixlen, number


def parse_network(text: str) -> IPv4Network | IPv6Network | None:
    """The network that the text names, or None."""
    if _NETWORK.fullmatch(text) is None:
        return None
    try:
        network = ip_network(text, strict=False)
    except ValueError:
        return None
    number = int(network.network_address)
    if isinstance(network, IPv6Network) and network.prefixlen >= 96 and number >> 32 == _MAPPED:
        return IPv4Network((number & 0xFFFFFFFF, network.prefixlen - 96))
    return network


def group_networks(networks: list[IPv4Network | IPv6Network]) -> Networks:
    """Networks by size, so that ten thousand of them cost one look-up per size."""
    by_size: dict[tuple[int, int], set[int]] = {}
    for network in networks:
        shift = network.max_prefixlen - network.prefixlen
        by_size.setdefault((network.max_prefixlen, shift), set()).add(int(network.network_address) >> shift)
    return tuple((bits, shift, frozenset(numbers)) for (bits, shift), numbers in sorted(by_size.items()))


def contains(networks: Networks, address: Address) -> bool:
    """Whether any of the networks contains the address."""
    family, number = address
    return any(bits == family and number >> shift in numbers for bits, shift, numbers in networks)
