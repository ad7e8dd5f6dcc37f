"""Which URLs and addresses a webhook may have: every form of what is inside must be refused."""

from typing import Final

import pytest

from greenroom_server.webhooks.address import Egress, Refused

PUBLIC: Final = Egress()
DEVELOPMENT: Final = Egress(is_insecure=True)

REFUSED_URLS: Final = [
    "",
    "hooks.example.com",
    "//hooks.example.com/",
    "http://hooks.example.com/",
    "ftp://hooks.example.com/",
    "file:///etc/passwd",
    "gopher://hooks.example.com:70/",
    "https://",
    "https:///path",
    "https://user@hooks.example.com/",
    "https://user:password@hooks.example.com/",
    "https://hooks.example.com@127.0.0.1/",
    "https://127.0.0.1#@hooks.example.com/",
    "https://hooks.example.com/#fragment",
    "https://hooks.example.com\\@127.0.0.1/",
    "https://hooks.example.com:22/",
    "https://hooks.example.com:0/",
    "https://hooks.example.com:/",
    "https://hooks.example.com:65536/",
    "https://hooks.example.com:443x/",
    "https://hooks.example.com./",
    "https://hooks..example.com/",
    "https://hooks.example.com /",
    "https://hooks.example.com/\nHost: inside",
    "https://hooks%2eexample.com/",
    "https://höoks.example.com/",
    "https://127.0.0.1/",
    "https://127.1/",
    "https://127.0.1/",
    "https://2130706433/",
    "https://0x7f000001/",
    "https://0x7f.0x0.0x0.0x1/",
    "https://0177.0.0.1/",
    "https://017700000001/",
    "https://127.0.0.01/",
    "https://0/",
    "https://0.0.0.0/",
    "https://10.0.0.1/",
    "https://172.16.0.1/",
    "https://192.168.1.1/",
    "https://100.64.0.1/",
    "https://169.254.169.254/latest/meta-data/",
    "https://100.100.100.200/",
    "https://168.63.129.16/",
    "https://192.0.0.192/",
    "https://224.0.0.1/",
    "https://255.255.255.255/",
    "https://[::1]/",
    "https://[::]/",
    "https://[::ffff:127.0.0.1]/",
    "https://[::ffff:7f00:1]/",
    "https://[::127.0.0.1]/",
    "https://[64:ff9b::127.0.0.1]/",
    "https://[64:ff9b::a9fe:a9fe]/",
    "https://[64:ff9b:1::1]/",
    "https://[2002:7f00:1::]/",
    "https://[2001:0:7f00:1::]/",
    "https://[fe80::1]/",
    "https://[fe80::1%25eth0]/",
    "https://[fc00::1]/",
    "https://[fd00:ec2::254]/",
    "https://[fec0::1]/",
    "https://[ff02::1]/",
    "https://[2001:db8::1]/",
    "https://[5f00::1]/",
    "https://[v1.x]/",
    "https://[::1/",
    "https://hooks.example.com/" + "a" * 2000,
]
NEVER: Final = [
    *("0.0.0.0", "169.254.169.254", "100.100.100.200", "168.63.129.16", "192.0.0.192", "192.88.99.1", "224.0.0.1"),
    *("255.255.255.255", "::", "fe80::1", "fe80::1%eth0", "fd00:ec2::254", "fd20:ce::254", "fec0::1", "ff02::1"),
    *("2002:7f00:1::", "2001::1", "64:ff9b:1::1", "::127.0.0.1", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "x"),
]
PRIVATE: Final = [
    *("127.0.0.1", "127.255.255.254", "10.1.2.3", "172.31.255.255", "192.168.0.1", "100.64.0.1", "198.18.0.1"),
    *("203.0.113.1", "::1", "fd12::1", "2001:db8::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1"),
]


@pytest.mark.parametrize("url", REFUSED_URLS)
def test_what_no_url_of_a_webhook_may_be(url: str) -> None:
    """Other schemes, user names, odd ports, odd spellings, and every form of an address inside."""
    with pytest.raises(Refused):
        PUBLIC.target_of(url)


@pytest.mark.parametrize(
    ("url", "origin", "path"),
    [
        ("https://hooks.example.com", "https://hooks.example.com", "/"),
        ("https://hooks.example.com?a=1", "https://hooks.example.com", "/?a=1"),
        ("HTTPS://Hooks.Example.COM/In?a=b&c=%20", "https://hooks.example.com", "/In?a=b&c=%20"),
        ("https://hooks.example.com:443/x", "https://hooks.example.com", "/x"),
        ("https://hooks.example.com:8443/x", "https://hooks.example.com:8443", "/x"),
        ("https://xn--hks-1qa.example/x", "https://xn--hks-1qa.example", "/x"),
        ("https://8.8.8.8/x", "https://8.8.8.8", "/x"),
        ("https://[2620:4f:8000::1]:8443/x", "https://[2620:4f:8000::1]:8443", "/x"),
    ],
)
def test_what_a_url_says(url: str, origin: str, path: str) -> None:
    """Names in small letters, the port only if it is not the usual one, brackets around IPv6, the path as it is."""
    target = PUBLIC.target_of(url)

    assert (f"{target.scheme}://{target.authority}", target.path) == (origin, path)


@pytest.mark.parametrize("address", [*NEVER, *PRIVATE])
def test_addresses_inside_are_refused(address: str) -> None:
    """Whatever the name was."""
    with pytest.raises(Refused):
        PUBLIC.check_address(address, "hooks.example.com")


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "93.184.216.34", "2620:4f:8000::1", "::ffff:8.8.8.8", "64:ff9b::808:808"]
)
def test_public_addresses_may_be_connected_to(address: str) -> None:
    """In IPv4, in IPv6, and in IPv6 that carries IPv4."""
    PUBLIC.check_address(address, "hooks.example.com")


@pytest.mark.parametrize("address", NEVER)
def test_development_opens_no_metadata(address: str) -> None:
    """What is nobody's receiver stays closed whatever is set."""
    everything = Egress.of(["0.0.0.0/0", "::/0"], ports=[443], is_insecure=True)
    for egress in (DEVELOPMENT, everything):
        with pytest.raises(Refused):
            egress.check_address(address, "hooks.example.com")


@pytest.mark.parametrize("address", PRIVATE)
def test_development_opens_private_addresses(address: str) -> None:
    """And `http:`, and every port."""
    DEVELOPMENT.check_address(address, "localhost")

    assert DEVELOPMENT.target_of("http://localhost:8000/x").authority == "localhost:8000"


def test_a_listed_private_network_opens_itself_and_nothing_beside_it() -> None:
    """Everything listed is all there is, and a list of everything opens nothing private."""
    listed = Egress.of(["10.20.0.0/16"], ports=[443], is_insecure=False)
    listed.check_address("10.20.3.4", "inside.example.com")
    for egress, address in (
        (listed, "10.21.0.1"),
        (listed, "8.8.8.8"),
        (Egress.of(["0.0.0.0/0"], ports=[443], is_insecure=False), "10.20.3.4"),
    ):
        with pytest.raises(Refused):
            egress.check_address(address, "inside.example.com")


def test_listed_hosts_are_all_there_is() -> None:
    """By name or below a domain, and still not at a private address."""
    listed = Egress.of(["hooks.example.com", "*.corp.example"], ports=[443], is_insecure=False)
    for host in ("hooks.example.com", "a.corp.example", "a.b.corp.example"):
        listed.target_of(f"https://{host}/")
        listed.check_address("8.8.8.8", host)
    for host in ("corp.example", "evil-corp.example", "example.com", "hooks.example.com.evil.example"):
        with pytest.raises(Refused):
            listed.target_of(f"https://{host}/")
        with pytest.raises(Refused):
            listed.check_address("8.8.8.8", host)
    with pytest.raises(Refused):
        listed.check_address("10.0.0.1", "hooks.example.com")


@pytest.mark.parametrize("entry", ["", "https://hooks.example.com", "10.0.0.0/33", "10.0.0.1/8", "a b", "*", "0x7f.1"])
def test_a_list_that_makes_no_sense_is_refused(entry: str) -> None:
    """The server does not start with it."""
    with pytest.raises(ValueError, match="is no host name, address or network"):
        Egress.of([entry], ports=[443], is_insecure=False)
