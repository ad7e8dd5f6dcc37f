"""Versions, dates, windows, networks and texts, each against an independent account of the same thing."""

import ipaddress
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.evaluation.strategies import Hostile, examples

from greenroom.evaluation import limits, text_form
from greenroom.evaluation.dates import moment_of, parse_moment, parse_relative
from greenroom.evaluation.findings import Place, shown
from greenroom.evaluation.networks import contains, group_networks, parse_address, parse_network
from greenroom.evaluation.semver import parse_version
from greenroom.evaluation.windows import DAYS, read_window, zone_named, zone_names

parts = st.sampled_from(["0", "1", "2", "10", "a", "A", "b", "-", "1a", "alpha"])
numbers = st.sampled_from([0, 1, 2, 10, 99])
versions = st.tuples(st.tuples(numbers, numbers, numbers), st.lists(parts, max_size=3))


def written(version: Any) -> str:
    """A version as text."""
    core, prerelease = version
    return ".".join(map(str, core)) + ("-" + ".".join(prerelease) if prerelease else "")


def compared(left: Any, right: Any) -> int:
    """Precedence by the letter of SemVer 2.0, section 11."""
    if left[0] != right[0]:
        return -1 if left[0] < right[0] else 1
    if not left[1] or not right[1]:
        return (not left[1]) - (not right[1])
    for one, other in zip(left[1], right[1], strict=False):
        if one != other:
            if one.isdigit() and other.isdigit():
                return -1 if int(one) < int(other) else 1
            if one.isdigit() != other.isdigit():
                return -1 if one.isdigit() else 1
            return -1 if one < other else 1
    return (len(left[1]) > len(right[1])) - (len(left[1]) < len(right[1]))


@examples(300)
@given(left=versions, right=versions)
def test_precedence_is_that_of_semver(left: Any, right: Any) -> None:
    """Cores, releases over pre-releases, identifiers one by one."""
    one, other = parse_version(written(left)), parse_version(written(right))

    assert one is not None
    assert other is not None
    assert (one > other) - (one < other) == compared(left, right)


wall_times = st.datetimes().filter(lambda made: 1 < made.year < 9999)
modern_times = st.integers(631_152_000, 2_114_380_800).map(lambda second: datetime.fromtimestamp(second, UTC))


@examples(300)
@given(wall_times, st.integers(-1439, 1439))
def test_moments_are_those_of_the_calendar(naive: datetime, offset: int) -> None:
    """Every date, every offset, in milliseconds."""
    moment = naive.replace(tzinfo=UTC)
    expected = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
    local = naive + timedelta(minutes=offset)
    sign = "-" if offset < 0 else "+"

    text = f"{local.isoformat(timespec='microseconds')}{sign}{abs(offset) // 60:02}:{abs(offset) % 60:02}"

    assert parse_moment(text) == expected
    assert moment_of(moment) == expected


@given(st.text(max_size=30) | st.from_regex(r"\A[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z\Z"))
def test_no_text_makes_reading_a_moment_raise(text: str) -> None:
    """Whatever it is."""
    moment = parse_moment(text)

    assert moment is None or isinstance(moment, int)


@pytest.mark.parametrize(
    ("text", "distance"),
    [
        ("now", 0),
        ("now-1s", -1000),
        ("now+1m", 60_000),
        ("now-1h", -3_600_000),
        ("now-2d", -172_800_000),
        ("now+1w", 604_800_000),
        ("now-0d", 0),
        ("now-999999999w", -999_999_999 * 604_800_000),
    ],
)
def test_relative_moments(text: str, distance: int) -> None:
    """Seconds, minutes, hours, days and weeks."""
    assert parse_relative(text) == distance


@pytest.mark.parametrize("text", ["", "NOW", "now-", "now-d", "now-1", "now-1y", "now- 1d", "now-1.5d", "now-1d1h"])
def test_what_is_no_relative_moment(text: str) -> None:
    """Nor one with ten digits."""
    assert parse_relative(text) is None
    assert parse_relative("now-1000000000d") is None


@examples(300)
@given(
    zone=st.sampled_from(["UTC", "Europe/Stockholm", "America/St_Johns", "Australia/Lord_Howe", "Pacific/Apia"]),
    start=st.integers(0, 1439),
    length=st.integers(1, 1440),
    days=st.sets(st.sampled_from(DAYS), min_size=1),
    moment=modern_times,
)
def test_windows_are_those_of_the_clock_on_the_wall(
    zone: str, start: int, length: int, days: set[str], moment: datetime
) -> None:
    """Against the plain meaning: some named day began so many wall-clock minutes ago."""
    end = start + length
    shown_end = "24:00" if end == 1440 else f"{end % 1440 // 60:02}:{end % 60:02}"
    wall = moment.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
    document = {"zone": zone, "days": sorted(days), "from": f"{start // 60:02}:{start % 60:02}", "to": shown_end}
    place = Place([])

    window = read_window(document, place)

    if start == end % 1440 and end != 1440:
        assert window is None
        return
    expected = False
    for back in (0, 1):
        day = (wall - timedelta(days=back)).replace(hour=0, minute=0, second=0, microsecond=0)
        begin, stop = day + timedelta(minutes=start), day + timedelta(minutes=end)
        expected = expected or (DAYS[day.weekday()] in days and begin <= wall < stop)
    assert window is not None
    assert window.holds(int(moment.timestamp() * 1000)) is expected


def test_every_zone_that_is_named_can_be_read() -> None:
    """And nothing else can."""
    assert len(zone_names()) > 400
    for name in ("Europe/Stockholm", "UTC", "America/Argentina/Buenos_Aires"):
        assert zone_named(name) is not None
    for name in ("", "Europe", "Europe/", "../UTC", "/etc/localtime", "utc", "zone.tab", "Europe/Stockholm\n", "\0"):
        assert zone_named(name) is None


@examples(300)
@given(
    networks=st.lists(st.ip_addresses(network="10.0.0.0/29") | st.ip_addresses(network="2001:db8::/125"), max_size=5),
    prefix=st.integers(0, 3),
    address=st.ip_addresses(network="10.0.0.0/28") | st.ip_addresses(network="2001:db8::/124"),
)
def test_networks_contain_what_the_standard_library_says(networks: Any, prefix: int, address: Any) -> None:
    """IPv4 and IPv6, whatever the prefix."""
    texts = [f"{network}/{network.max_prefixlen - prefix}" for network in networks]
    expected = any(address in ipaddress.ip_network(text, strict=False) for text in texts)
    read = [network for text in texts if (network := parse_network(text)) is not None]

    found = parse_address(str(address))

    assert len(read) == len(texts)
    assert found is not None
    assert contains(group_networks(read), found) is expected


@given(st.text(max_size=50))
def test_no_text_makes_reading_a_network_raise(text: str) -> None:
    """Whatever it is."""
    parse_address(text)
    parse_network(text)


@given(st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.lists(st.text()))
def test_a_text_form_can_always_be_encoded(value: Any) -> None:
    """And there is one for text, integers and booleans."""
    text = text_form(value)

    if text is not None:
        text.encode()
    elif isinstance(value, str):
        with pytest.raises(UnicodeEncodeError):
            value.encode()
    else:
        assert not isinstance(value, bool | int)


def test_the_text_form_of_a_number_is_bounded() -> None:
    """Numbers that no float reaches have none."""
    assert text_form(2**1024 - 1) is not None
    assert text_form(2**1024) is None
    assert text_form(float(2**1023)) == str(2**1023)


def test_values_in_messages_are_short_and_can_be_encoded() -> None:
    """In backticks, cut, without surrogates."""
    assert shown("a") == "`a`"
    assert shown("\ud800") == "`\\ud800`"
    assert len(shown("x" * 1000)) == 82
    assert shown(Hostile()).startswith("`<")


def test_units_of_the_limits() -> None:
    """As they are published."""
    assert (limits.FULL, limits.MAX_INTEGER, limits.MAX_SNAPSHOT_BYTES) == (100_000, 2**53, 4 * 1024 * 1024)
