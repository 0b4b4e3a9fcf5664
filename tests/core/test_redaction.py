from __future__ import annotations

from typing import Any

import pytest

from palpo.core.redaction import redact
from palpo.core.room_versions import ROOM_VERSIONS

VERSIONS = list(ROOM_VERSIONS)
TOP_LEVEL = "event_id type room_id sender state_key content hashes signatures depth prev_events auth_events"
POWER_LEVELS = "ban events events_default kick redact state_default users users_default"


def since(first: int, last: int = 12) -> list[str]:
    return [str(version) for version in range(first, last + 1)]


def kept_content(version: str, event_type: str, content: dict[str, Any]) -> dict[str, Any]:
    pdu = {"type": event_type, "content": content}
    redacted = redact(ROOM_VERSIONS[version], pdu)
    assert redacted["type"] == event_type
    kept: dict[str, Any] = redacted["content"]
    return kept


@pytest.mark.parametrize("version", VERSIONS)
def test_top_level(version: str) -> None:
    kept = {*TOP_LEVEL.split(), "origin_server_ts"}
    if version in since(1, 10):
        kept |= {"prev_state", "origin", "membership"}
    dropped = {"unsigned", "redacts", "age", "x", "prev_state", "origin", "membership"}
    pdu: dict[str, Any] = {name: name for name in kept | dropped}
    before = dict(pdu)
    assert redact(ROOM_VERSIONS[version], pdu).keys() == kept
    assert pdu == before


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("event_type", "kept"),
    [
        ("m.room.member", {"membership": since(1), "join_authorised_via_users_server": since(9)}),
        ("m.room.create", {"creator": since(1), "room_version": since(11), "additional_creators": since(11)}),
        ("m.room.join_rules", {"join_rule": since(1), "allow": since(8)}),
        ("m.room.power_levels", {**dict.fromkeys(POWER_LEVELS.split(), since(1)), "invite": since(11)}),
        ("m.room.aliases", {"aliases": since(1, 5)}),
        ("m.room.history_visibility", {"history_visibility": since(1)}),
        ("m.room.redaction", {"redacts": since(11)}),
        ("m.room.message", {}),
        ("m.room.topic", {}),
    ],
)
def test_content(version: str, event_type: str, kept: dict[str, list[str]]) -> None:
    names = (
        "membership join_authorised_via_users_server creator room_version additional_creators join_rule "
        "allow invite aliases history_visibility redacts body displayname notifications"
    )
    everything = {*names.split(), *POWER_LEVELS.split()}
    content = {name: name for name in everything}
    if event_type == "m.room.create" and version in since(11):
        assert kept_content(version, event_type, content) == content
        return
    expected = {name for name, versions in kept.items() if version in versions}
    assert kept_content(version, event_type, content).keys() == expected


@pytest.mark.parametrize("version", VERSIONS)
def test_third_party_invite(version: str) -> None:
    content = {"membership": "invite", "third_party_invite": {"display_name": "a", "signed": {"token": "t"}}}
    expected: dict[str, Any] = {"membership": "invite"}
    if version in since(11):
        expected["third_party_invite"] = {"signed": {"token": "t"}}
    assert kept_content(version, "m.room.member", content) == expected


@pytest.mark.parametrize("invite", [{"display_name": "a"}, "text", None])
def test_third_party_invite_that_is_not_signed(invite: Any) -> None:
    assert kept_content("11", "m.room.member", {"third_party_invite": invite}) == {}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("pdu", [{}, {"type": "m.room.member", "content": []}, {"type": "m.room.create"}])
def test_events_without_content(version: str, pdu: dict[str, Any]) -> None:
    assert redact(ROOM_VERSIONS[version], pdu) == pdu


@pytest.mark.parametrize("version", VERSIONS)
def test_types_that_are_not_text(version: str) -> None:
    assert redact(ROOM_VERSIONS[version], {"type": ["x"], "content": {"a": 1}}) == {
        "type": ["x"],
        "content": {},
    }
