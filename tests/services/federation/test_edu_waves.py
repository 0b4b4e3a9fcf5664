"""Which EDUs are taken in together."""

from __future__ import annotations

from typing import Any

from palpo.services.federation.receiving.edu_waves import Received, waves


def typing(room: Any) -> Received:
    return "m.typing", {"room_id": room}


def receipt(*rooms: str) -> Received:
    return "m.receipt", {room: {} for room in rooms}


def messages(*users: str) -> Received:
    return "m.direct_to_device", {"messages": {user: {} for user in users}}


DEVICES: Received = ("m.device_list_update", {"user_id": "@a:b"})


def test_those_about_different_things_go_together() -> None:
    edus = [typing("!a"), receipt("!b", "!c"), messages("@a:b"), messages("@c:d"), typing("!d")]
    assert list(waves(edus)) == [edus]


def test_of_those_about_the_same_one_comes_after_the_other() -> None:
    edus = [
        typing("!a"),
        typing("!b"),
        typing("!a"),
        receipt("!c", "!a"),
        messages("@a:b", "@c:d"),
        messages("@c:d"),
    ]
    assert list(waves(edus)) == [edus[:2], edus[2:3], edus[3:5], edus[5:]]


def test_what_is_not_known_goes_alone() -> None:
    unknown: list[Received] = [DEVICES, DEVICES, typing(1), ("m.direct_to_device", {"messages": []})]
    edus = [typing("!a"), *unknown, typing("!b"), receipt("!c")]
    assert list(waves(edus)) == [[edus[0]], *([item] for item in unknown), edus[5:]]


def test_none() -> None:
    assert list(waves([])) == []
