"""Which addresses may be connected to."""

import pytest

from palpo.net.addresses import AddressPolicy

PUBLIC = ["1.1.1.1", "93.184.216.34", "2606:4700:4700::1111", "::ffff:8.8.8.8"]
NOT_PUBLIC = [
    "0.0.0.0",
    "10.1.2.3",
    "100.64.0.1",
    "127.0.0.1",
    "169.254.169.254",
    "172.31.255.255",
    "192.168.1.1",
    "198.18.0.1",
    "224.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:0:127.0.0.1",
    "64:ff9b::7f00:1",
    "2002:7f00:1::",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    "fc00::1",
    "fe80::1%eth0",
    "ff02::1",
    "localhost",
    "2130706433",
    "",
]


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_permitted(address: str) -> None:
    assert AddressPolicy().permits(address)


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_all_others_are_refused(address: str) -> None:
    assert not AddressPolicy().permits(address)


def test_the_operator_allows_and_denies() -> None:
    policy = AddressPolicy(allow=["10.1.0.0/16", "::1"], deny=["10.1.2.0/24", "1.1.1.1"])
    assert policy.permits("10.1.1.1")
    assert policy.permits("::ffff:10.1.1.1")
    assert policy.permits("::1")
    assert not policy.permits("10.1.2.1")
    assert not policy.permits("10.2.0.1")
    assert not policy.permits("1.1.1.1")


def test_a_network_that_cannot_be_read() -> None:
    with pytest.raises(ValueError, match="nonsense"):
        AddressPolicy(allow=["nonsense"])
