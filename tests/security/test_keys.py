"""Signing keys of other servers, as a whole server takes them: by requests that they sign."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from palpo.core.identifiers import ServerName
from palpo.core.server_keys import LONGEST_MS, WantedKey
from palpo.core.signing import SigningKey, sign_json
from palpo.core.state_keys import MEMBER
from palpo.services.federation.keys.key_fetches import MISSED_MS
from tests.support.homeserver import Client, Homeserver
from tests.support.key_servers import HOUR_MS, signed, unsigned
from tests.support.pairs import Town
from tests.support.remote_server import RemoteServer, remote_server
from tests.support.remote_users import BOB, KEY, SERVER, Remote
from tests.support.unreadable import MARK, UNREADABLE, answer

VERSION = "/_matrix/federation/v1/publicRooms"
KEYS = ("GET", "/_matrix/key/v2/server")
OTHER = SigningKey(key_id="ed25519:other", seed=b"o" * 32)


async def is_believed(server: Homeserver, remote: RemoteServer) -> bool:
    """Whether the server's signature is taken, by a look at its keys."""
    server.clock.advance(2 * MISSED_MS[1])
    return (await remote.raw(server, "GET", VERSION)).status_code == 200


async def test_keys_server_name_is_the_one_asked_for(server: Homeserver, remote: RemoteServer) -> None:
    until = server.clock.now_ms() + 24 * HOUR_MS
    remote.answers[KEYS] = signed("elsewhere.example", [KEY], valid_until_ts=until)
    assert not await is_believed(server, remote)
    own = unsigned("elsewhere.example", [KEY], valid_until_ts=until)
    remote.answers[KEYS] = sign_json(own, SERVER, KEY)
    assert not await is_believed(server, remote)
    remote.answers[KEYS] = signed(SERVER, [KEY], valid_until_ts=until)
    assert await is_believed(server, remote)


async def test_keys_are_self_signed(server: Homeserver, remote: RemoteServer) -> None:
    until = server.clock.now_ms() + 24 * HOUR_MS
    named = unsigned(SERVER, [KEY], valid_until_ts=until)
    for told in (
        named,
        sign_json(named, SERVER, OTHER),
        sign_json(unsigned(SERVER, [KEY, OTHER], valid_until_ts=until), SERVER, OTHER),
        {**signed(SERVER, [KEY], valid_until_ts=until), "valid_until_ts": until + 1},
    ):
        remote.answers[KEYS] = told
        assert not await is_believed(server, remote)
    remote.answers[KEYS] = sign_json(named, SERVER, KEY)
    assert await is_believed(server, remote)


async def test_a_valid_key_is_never_replaced(server: Homeserver, remote: RemoteServer) -> None:
    """Not even by another one of the same ID that is signed by itself."""
    assert await is_believed(server, remote)
    thief = SigningKey(key_id=KEY.key_id, seed=b"t" * 32)
    until = server.clock.now_ms() + 24 * HOUR_MS
    remote.answers[KEYS] = signed(SERVER, [thief, OTHER], valid_until_ts=until)
    remote.key = thief
    assert not await is_believed(server, remote)
    remote.key = OTHER
    assert await is_believed(server, remote)
    remote.key = KEY
    assert await is_believed(server, remote)


async def test_keys_are_valid_for_seven_days_at_most(server: Homeserver, remote: RemoteServer) -> None:
    now = server.clock.now_ms()
    remote.answers[KEYS] = signed(SERVER, [KEY], valid_until_ts=now + 100 * LONGEST_MS)
    assert await is_believed(server, remote)
    key = WantedKey(server_name=ServerName(SERVER), key_id=KEY.key_id, valid_until_ts=0, for_events=False)
    found = (await server.services.federation.keyring.find([key]))[key]
    assert found.valid_until_ts <= server.clock.now_ms() + LONGEST_MS
    # Whoever does not answer for them any more is not believed after that.
    del remote.answers[KEYS]
    remote.answers[KEYS] = {}
    server.clock.advance(LONGEST_MS)
    assert not await is_believed(server, remote)


async def test_old_keys_for_events_only(server: Homeserver, remote: RemoteServer, alice: Client) -> None:
    room_id = await alice.create_room(preset="public_chat", room_version="11")
    room = Remote(server, room_id, key=OTHER)
    join = await room.event(BOB, (MEMBER, BOB), {"membership": "join"})
    until = server.clock.now_ms() + 24 * HOUR_MS
    old = {OTHER.key_id: (OTHER, server.clock.now_ms())}
    remote.answers[KEYS] = signed(SERVER, [KEY], valid_until_ts=until, old=old)
    body = {"origin": SERVER, "origin_server_ts": 1, "pdus": [join.pdu]}
    assert await remote.ask(server, "PUT", "/_matrix/federation/v1/send/1", body) == {
        "pdus": {join.event_id: {}}
    }
    assert BOB in (await alice.get(f"/rooms/{room_id}/joined_members"))["joined"]
    remote.key = OTHER
    assert not await is_believed(server, remote)


@pytest.mark.parametrize("believed", [True, False])
async def test_notary_answers_are_verified_by_notary_and_subject(tmp_path: Path, believed: bool) -> None:
    """The server itself is away; what the notary says of it has to be signed by both."""
    town = Town.of(tmp_path, "hs1.test", SERVER, "notary.example")
    notaries = {"notaries": [{"name": "notary.example"}]}
    async with (
        town.homeserver("hs1.test", federation=notaries) as server,
        remote_server(town, "notary.example", now_ms=server.clock.now_ms) as notary,
    ):
        remote = RemoteServer(SERVER, KEY, server.clock.now_ms)
        until = server.clock.now_ms() + 24 * HOUR_MS
        subject = signed(SERVER, [KEY], valid_until_ts=until)
        both = sign_json(subject, notary.name, notary.key)
        wrong: list[dict[str, Any]] = [
            subject,
            sign_json(unsigned(SERVER, [KEY], valid_until_ts=until), notary.name, notary.key),
            sign_json(subject, notary.name, OTHER),
            {**both, "valid_until_ts": until + 1},
        ]
        where = ("POST", "/_matrix/key/v2/query")
        notary.answers[where] = {"server_keys": [wrong[0], both, *wrong[1:3]] if believed else wrong}
        assert await is_believed(server, remote) == believed


async def test_a_malformed_answer_of_a_notary_costs_only_itself(tmp_path: Path) -> None:
    town = Town.of(tmp_path, "hs1.test", SERVER, "notary.example")
    async with (
        town.homeserver("hs1.test", federation={"notaries": [{"name": "notary.example"}]}) as server,
        remote_server(town, "notary.example", now_ms=server.clock.now_ms) as notary,
    ):
        remote = RemoteServer(SERVER, KEY, server.clock.now_ms)
        until = server.clock.now_ms() + 24 * HOUR_MS
        good = sign_json(signed(SERVER, [KEY], valid_until_ts=until), notary.name, notary.key)
        told = {"server_keys": [{**good, "more": MARK}, MARK, good], "more": MARK}
        for bad in UNREADABLE.values():
            notary.answers["POST", "/_matrix/key/v2/query"] = answer(told, bad)
            assert await is_believed(server, remote)
            server.clock.advance(8 * LONGEST_MS)
            until = server.clock.now_ms() + 24 * HOUR_MS
            good = sign_json(signed(SERVER, [KEY], valid_until_ts=until), notary.name, notary.key)
            told["server_keys"] = [{**good, "more": MARK}, MARK, good]
