"""Whose address is believed behind proxies."""

from __future__ import annotations

import pytest

from palpo.api.client_addresses import Proxies, parse_address, parse_network

pytestmark = pytest.mark.one_database

PROXIES = Proxies(["127.0.0.1", "10.1.0.0/16", "2001:db8:1::/48"])


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("198.51.100.9", ["203.0.113.7"], "198.51.100.9"),
        ("127.0.0.1", [], "127.0.0.1"),
        ("127.0.0.1", ["203.0.113.7"], "203.0.113.7"),
        ("::ffff:127.0.0.1", ["203.0.113.7"], "203.0.113.7"),
        ("2001:db8:1::5", ["203.0.113.7"], "203.0.113.7"),
        ("127.0.0.1", ["9.9.9.9, 203.0.113.7"], "203.0.113.7"),
        ("127.0.0.1", ["9.9.9.9", "203.0.113.7"], "203.0.113.7"),
        ("127.0.0.1", ["9.9.9.9, 203.0.113.7, 10.1.2.3"], "203.0.113.7"),
        ("127.0.0.1", ["203.0.113.7", "10.1.2.3", "127.0.0.1"], "203.0.113.7"),
        ("127.0.0.1", ["10.1.2.3"], "10.1.2.3"),
        ("127.0.0.1", ["203.0.113.7:51234"], "203.0.113.7"),
        ("127.0.0.1", ["[2001:db8::7]:51234"], "2001:db8::7"),
        ("127.0.0.1", ["[2001:db8::7]"], "2001:db8::7"),
        ("127.0.0.1", ["2001:DB8:0::7"], "2001:db8::7"),
        ("127.0.0.1", ["fe80::1%eth0"], "fe80::1"),
        ("127.0.0.1", ["::ffff:203.0.113.7"], "203.0.113.7"),
        ("127.0.0.1", ['"203.0.113.7"'], "203.0.113.7"),
        ("127.0.0.1", [""], "127.0.0.1"),
        ("127.0.0.1", ["unknown"], "127.0.0.1"),
        ("127.0.0.1", ["<script>"], "127.0.0.1"),
        ("127.0.0.1", ["a" * 100_000], "127.0.0.1"),
        ("127.0.0.1", [", ,"], "127.0.0.1"),
        ("127.0.0.1", ["203.0.113.7, unknown"], "127.0.0.1"),
        ("127.0.0.1", ["203.0.113.7, unknown, 10.1.2.3"], "10.1.2.3"),
        ("127.0.0.1", ["127.0.0.1, " * 50_000 + "127.0.0.1"], "127.0.0.1"),
        (None, ["203.0.113.7"], "203.0.113.7"),
        (None, [], ""),
        ("", ["203.0.113.7"], ""),
    ],
)
def test_who_is_believed(peer: str | None, forwarded: list[str], client: str) -> None:
    assert PROXIES.client(peer, forwarded) == client


def test_networks_that_are_written_as_ipv6() -> None:
    assert Proxies(["::ffff:10.1.0.0/112"]).trusts("10.1.2.3")
    assert not Proxies(["::ffff:10.1.0.0/112"]).trusts("10.2.2.3")
    assert Proxies(["0.0.0.0/0"]).trusts("203.0.113.7")
    assert not Proxies([]).trusts("127.0.0.1")
    assert Proxies([]).trusts(None)
    with pytest.raises(ValueError, match="does not appear"):
        parse_network("nonsense")


def test_what_is_no_address() -> None:
    for text in ("", "localhost", "1.2.3", "1.2.3.4.5", "[::1.", ":::", "1.2.3.4/8", "٣.1.1.1"):
        assert parse_address(text) is None, text
