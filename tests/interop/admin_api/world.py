"""What a server is filled with, by clients' requests, before it is asked as administrators do."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from types import TracebackType
from typing import Any

import httpx

from tests.support.two_servers import Neighbour

SECRET = "shared secret"
PASSWORD = "correct horse battery"
PICTURE = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
)
CLIENT = "/_matrix/client/v3"
KEY_ID = re.compile(r"^ed25519:\w+$")


class World:
    """One server, what is in it by name (``known``: IDs and tokens), and a client to ask it with."""

    def __init__(self, server: Neighbour, other: Neighbour) -> None:
        self.known: dict[str, str] = {"server": server.name, "other": other.name, "password": PASSWORD}
        self.tokens: dict[str, str] = {}
        self._http = httpx.AsyncClient(base_url=server.url, timeout=60)
        self._sent = 0

    async def __aenter__(self) -> World:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.aclose()

    async def ask(
        self, method: str, path: str, body: Any = None, *, user: str = "admin", **options: Any
    ) -> httpx.Response:
        """Whatever is answered to a user."""
        headers = {"Authorization": f"Bearer {self.tokens[user]}"}
        return await self._http.request(method, path, json=body, headers=headers, **options)

    async def client(self, method: str, path: str, body: Any = None, *, user: str) -> Any:
        """The answer to a request of the client-server API that must succeed."""
        answer = await self.ask(method, CLIENT + path, {} if body is None else body, user=user)
        assert answer.status_code == 200, (method, path, answer.text)
        return answer.json()

    async def fill(self) -> None:
        """Users, rooms, events, media, reports."""
        await self._make_admin()
        for name in ("alice", "bob", "carol", "dave", "erin"):
            await self._register(name)
        await self._make_account()
        await self._make_media()
        await self._make_rooms()
        await self._make_events()

    async def meet(self, theirs: World) -> None:
        """Have a user join a room of the other server, and write there."""
        room_id = theirs.known["room"]
        await self.client("POST", f"/join/{room_id}?server_name={theirs.known['server']}", user="bob")
        self.known["remote_room"] = room_id
        await self._say("bob", "remote_room", "hello over there")

    async def _make_admin(self) -> None:
        nonce = (await self._http.get("/_synapse/admin/v1/register")).json()["nonce"]
        signed = "\0".join((nonce, "admin", PASSWORD, "admin")).encode()
        mac = hmac.new(SECRET.encode(), signed, hashlib.sha1).hexdigest()
        body = {"nonce": nonce, "username": "admin", "password": PASSWORD, "admin": True, "mac": mac}
        answer = await self._http.post("/_synapse/admin/v1/register", json=body)
        assert answer.status_code == 200, answer.text
        self._login("admin", answer.json())

    async def _register(self, name: str) -> None:
        body = {
            "username": name,
            "password": PASSWORD,
            "auth": {"type": "m.login.dummy"},
            "initial_device_display_name": "phone",
        }
        answer = await self._http.post(f"{CLIENT}/register", json=body)
        assert answer.status_code == 200, answer.text
        self._login(name, answer.json())

    def _login(self, name: str, answer: dict[str, str]) -> None:
        self.tokens[name] = answer["access_token"]
        self.known |= {name: answer["user_id"], f"{name}_device": answer["device_id"]}

    async def _make_account(self) -> None:
        alice = self.known["alice"]
        await self.client("PUT", f"/profile/{alice}/displayname", {"displayname": "Alice"}, user="alice")
        await self.client("PUT", f"/user/{alice}/account_data/org.example.a", {"a": 1}, user="alice")
        pusher = {
            "app_id": "org.example",
            "app_display_name": "Example",
            "device_display_name": "phone",
            "pushkey": "key",
            "kind": "http",
            "lang": "en",
            "profile_tag": "tag",
            "data": {"url": "https://push.example.org/_matrix/push/v1/notify"},
        }
        await self.client("POST", "/pushers/set", pusher, user="alice")
        key = base64.b64encode(bytes(range(32))).decode().rstrip("=")
        master = {"user_id": alice, "usage": ["master"], "keys": {f"ed25519:{key}": key}}
        identifier = {"type": "m.id.user", "user": alice}
        auth = {"type": "m.login.password", "identifier": identifier, "password": PASSWORD}
        body = {"master_key": master, "auth": auth}
        await self.client("POST", "/keys/device_signing/upload", body, user="alice")

    async def _make_media(self) -> None:
        for user, name in (("alice", "picture"), ("alice", "second"), ("bob", "third"), ("carol", "fourth")):
            answer = await self._http.post(
                f"/_matrix/media/v3/upload?filename={name}.png",
                # Each is another, or they would be quarantined together.
                content=PICTURE + name.encode(),
                headers={"Authorization": f"Bearer {self.tokens[user]}", "Content-Type": "image/png"},
            )
            assert answer.status_code == 200, answer.text
            self.known[name] = answer.json()["content_uri"].rpartition("/")[2]
        path = f"/_matrix/client/v1/media/download/{self.known['server']}/{self.known['picture']}"
        assert (await self.ask("GET", path, user="alice")).status_code == 200

    async def _make_rooms(self) -> None:
        public = {"preset": "public_chat", "visibility": "public", "room_version": "11"}
        await self._create("room", public | {"name": "Room", "topic": "Things", "room_alias_name": "room"})
        self.known["alias"] = f"#room:{self.known['server']}"
        await self._create("doomed", {**public, "name": "Doomed", "room_alias_name": "doomed"})
        await self._create("doomed_2", {**public, "name": "Doomed, too"})
        await self._create("closed", {"preset": "private_chat", "name": "Closed", "room_version": "11"})
        await self._create("space", {**public, "name": "Space", "creation_content": {"type": "m.space"}})
        child = {"via": [self.known["server"]]}
        await self._state("space", f"m.space.child/{self.known['room']}", child)
        await self._state("room", "m.room.avatar", {"url": self._mxc("second")})
        for user in ("bob", "carol", "dave"):
            await self.client("POST", f"/join/{self.known['room']}", user=user)
        await self.client("POST", f"/join/{self.known['doomed']}", user="bob")
        invite = {"user_id": self.known["erin"]}
        await self.client("POST", f"/rooms/{self.known['room']}/invite", invite, user="alice")

    async def _create(self, name: str, body: dict[str, Any]) -> None:
        answer = await self.client("POST", "/createRoom", body, user="alice")
        self.known[name] = answer["room_id"]

    async def _state(self, room: str, path: str, content: dict[str, Any]) -> None:
        await self.client("PUT", f"/rooms/{self.known[room]}/state/{path}", content, user="alice")

    async def _make_events(self) -> None:
        for number in range(5):
            self.known[f"event_{number}"] = await self._say("alice", "room", f"message {number}")
            self.known[f"closed_{number}"] = await self._say("alice", "closed", f"message {number}")
        self.known["spam"] = await self._say("dave", "room", "spam")
        for name in ("picture", "third"):
            image = {"msgtype": "m.image", "body": "a.png", "url": self._mxc(name)}
            self.known[f"{name}_event"] = await self._send("alice", "room", image)
        report = {"reason": "it is spam", "score": -50}
        room = self.known["room"]
        for event in ("spam", "event_0"):
            await self.client("POST", f"/rooms/{room}/report/{self.known[event]}", report, user="bob")
        for name in ("carol", "erin"):
            path = f"/users/{self.known[name]}/report"
            await self.client("POST", path, {"reason": "rude"}, user="bob")
        synced = await self.client("GET", "/sync", user="alice")
        self.known["prev_batch"] = synced["rooms"]["join"][room]["timeline"]["prev_batch"]

    async def _say(self, user: str, room: str, text: str) -> str:
        return await self._send(user, room, {"msgtype": "m.text", "body": text})

    async def _send(self, user: str, room: str, content: dict[str, Any]) -> str:
        self._sent += 1
        path = f"/rooms/{self.known[room]}/send/m.room.message/{self._sent}"
        return str((await self.client("PUT", path, content, user=user))["event_id"])

    def _mxc(self, name: str) -> str:
        return f"mxc://{self.known['server']}/{self.known[name]}"

    def filled_in(self, value: Any) -> Any:
        """``value`` with ``{name}`` in its texts and keys made what ``known`` has by that name."""
        if isinstance(value, str):
            return re.sub(r"\{(\w+)\}", lambda found: self.known[found[1]], value)
        if isinstance(value, dict):
            return {self.filled_in(key): self.filled_in(item) for key, item in value.items()}
        return [self.filled_in(item) for item in value] if isinstance(value, list) else value

    def named(self, value: Any) -> Any:
        """The other way round: what ``known`` has, by its name."""
        if isinstance(value, str):
            for name, text in sorted(self.known.items(), key=lambda item: -len(item[1])):
                value = value.replace(text, f"{{{name}}}") if len(text) > 6 else value
            return KEY_ID.sub("ed25519:{key}", value)
        if isinstance(value, dict):
            return {self.named(key): self.named(item) for key, item in value.items()}
        return [self.named(item) for item in value] if isinstance(value, list) else value
