"""Slots, addresses and ports."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from palpo_complement.process import hosts
from palpo_complement.process.subnets import SLOTS, NoFreeSlot, Slot


def test_two_runners_never_share_a_slot(tmp_path: Path) -> None:
    first, second = Slot.acquire(tmp_path), Slot.acquire(tmp_path)
    assert first.index != second.index
    assert first.take_address(0, set()).split(".")[1] != second.take_address(0, set()).split(".")[1]
    first.release()
    third = Slot.acquire(tmp_path)
    assert third.index == first.index
    second.release()
    third.release()


def test_the_last_slot_is_the_last(tmp_path: Path) -> None:
    slots = [Slot.acquire(tmp_path) for _ in range(SLOTS)]
    with pytest.raises(NoFreeSlot):
        Slot.acquire(tmp_path)
    for slot in slots:
        slot.release()


def test_addresses_are_unique_and_not_reused_at_once(tmp_path: Path) -> None:
    slot = Slot.acquire(tmp_path)
    used: set[str] = set()
    for _ in range(253):
        address = slot.take_address(slot.take_subnet() if not used else 0, used)
        assert address not in used
        used.add(address)
    assert not any(address.endswith((".0", ".1", ".255")) for address in used)
    with pytest.raises(NoFreeSlot):
        slot.take_address(0, used)
    slot.release()


def test_a_port_in_use_is_skipped(tmp_path: Path) -> None:
    slot = Slot.acquire(tmp_path)
    first = slot.take_port(set())
    with socket.socket() as busy:
        busy.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        busy.bind(("127.0.0.1", first + 1))
        busy.listen()
        assert slot.take_port({first + 2}) == first + 3
    slot.release()


def test_freed_subnets_are_given_again(tmp_path: Path) -> None:
    slot = Slot.acquire(tmp_path)
    assert [slot.take_subnet(), slot.take_subnet()] == [0, 1]
    slot.free_subnet(0)
    assert slot.take_subnet() == 0
    slot.release()


def test_hosts_file_grows_by_blocks_and_keeps_no_old_line(tmp_path: Path) -> None:
    path = tmp_path / "hosts"
    hosts.write(path, {f"name-{number}": "127.100.0.2" for number in range(400)})
    assert path.stat().st_size % hosts.BLOCK == 0
    assert path.stat().st_size > hosts.BLOCK
    hosts.write(path, {"hs1": "127.100.0.3"})
    assert path.read_text().split() == ["127.0.0.1", "localhost", "127.100.0.3", "hs1"]
    assert path.stat().st_size == hosts.BLOCK
