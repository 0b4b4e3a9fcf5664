"""Nothing that a client sends to the endpoints of users' data makes the server fail."""

from __future__ import annotations

import pytest

from tests.support.homeserver import Client, Homeserver

U = "@alice:test.example"
ODD = ["a%00b", "%F0%9F%90%88", "x" * 300, "%FF", "..", "%2F", "!a%00b:test.example", "$a%00b"]
PATHS = [
    ("GET", "/profile/{odd}"),
    ("GET", "/profile/" + U + "/{odd}"),
    ("PUT", "/profile/" + U + "/{odd}"),
    ("DELETE", "/profile/" + U + "/{odd}"),
    ("GET", "/user/" + U + "/filter/{odd}"),
    ("PUT", "/user/" + U + "/account_data/{odd}"),
    ("GET", "/user/" + U + "/account_data/{odd}"),
    ("PUT", "/user/" + U + "/rooms/{odd}/account_data/x"),
    ("GET", "/user/" + U + "/rooms/{odd}/tags"),
    ("PUT", "/user/" + U + "/rooms/!a:b/tags/{odd}"),
    ("DELETE", "/user/" + U + "/rooms/!a:b/tags/{odd}"),
    ("POST", "/rooms/{odd}/receipt/m.read/$x"),
    ("POST", "/rooms/{room}/receipt/m.read/{odd}"),
    ("POST", "/rooms/{room}/receipt/{odd}/$x"),
    ("POST", "/rooms/{odd}/read_markers"),
    ("PUT", "/rooms/{odd}/typing/" + U),
    ("GET", "/presence/{odd}/status"),
    ("PUT", "/pushrules/global/override/{odd}"),
    ("GET", "/pushrules/global/override/{odd}"),
    ("PUT", "/pushrules/global/{odd}/x"),
    ("DELETE", "/pushrules/global/override/{odd}/"),
]
BODIES = [
    b"",
    b"{}",
    b"[]",
    b"null",
    b'{"a":1e400}',
    b'{"a":123456789012345678901234567890}',
    b'{"a":"\\ud800"}',
    b'{"a":"\\u0000"}',
    b'{"typing":true,"timeout":1e99,"m.read":"\\u0000","thread_id":"\\u0000","actions":[{"set_tweak":"x"}]}',
    b'{"typing":true,"timeout":-5,"m.read":"$x","thread_id":"$\\u0000","actions":[1e400]}',
]


@pytest.mark.parametrize(("method", "path"), PATHS)
async def test_odd_paths(server: Homeserver, alice: Client, method: str, path: str) -> None:
    room_id = await alice.create_room()
    for odd in ODD:
        for body in BODIES if method != "GET" else [b""]:
            url = f"/client/v3{path}".format(odd=odd, room=room_id)
            headers = {"Authorization": f"Bearer {alice.token}"}
            response = await server.http.request(method, f"/_matrix{url}", content=body, headers=headers)
            assert response.status_code < 500, f"{method} {url} {body!r}: {response.text}"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/pushers/set"),
        ("POST", "/user_directory/search"),
        ("PUT", "/profile/" + U + "/org.example.a"),
        ("PUT", "/profile/" + U + "/displayname"),
        ("PUT", "/user/" + U + "/account_data/x"),
        ("POST", "/user/" + U + "/filter"),
        ("PUT", "/presence/" + U + "/status"),
    ],
)
async def test_odd_bodies(server: Homeserver, alice: Client, method: str, path: str) -> None:
    nul = b'"a\\u0000b"'
    pusher = b'{"kind":"http","app_id":%b,"pushkey":%b,"app_display_name":%b,"device_display_name":%b,'
    bodies = [
        *BODIES,
        b'{"search_term":"a\\u0000b","limit":-1}',
        b'{"search_term":"\xf0\x9f\x90\x88 ' + b"x" * 10_000 + b'","limit":123456789012345678901234567890}',
        b'{"org.example.a":{"b":1e400},"displayname":"a\\u0000b","presence":"online","status_msg":"\\u0000"}',
        b'{"org.example.a":123456789012345678901234567890,"displayname":"\xf0\x9f\x90\x88"}',
        (pusher % (nul, nul, nul, nul)) + b'"lang":"x","data":{"url":"https://[x/_matrix/push/v1/notify"}}',
    ]
    headers = {"Authorization": f"Bearer {alice.token}"}
    for body in bodies:
        url = f"/_matrix/client/v3{path}"
        response = await server.http.request(method, url, content=body, headers=headers)
        assert response.status_code < 500, f"{body!r}: {response.text}"
