"""Telling identity servers of users and asking them, those only that the operator trusts.

Spec: identity service API, "Establishing Associations", "Association lookup", "Invitation storage".
"""

from __future__ import annotations

import re
from hashlib import sha256
from typing import Any, TypeVar

import msgspec

from palpo.config.sections.accounts import IdentityServer
from palpo.core.bounded_text import check_text
from palpo.core.canonical_json import to_json
from palpo.core.errors import BadRequest, Forbidden, MatrixError, Unavailable
from palpo.core.identifiers import UserId, parse_user_id
from palpo.core.unpadded_base64 import encode_urlsafe
from palpo.db.engine import Database
from palpo.net.http_client import HttpClient, HttpError
from palpo.services.server.server_keys import ServerKeys
from palpo.storage import threepids as storage
from palpo.storage.threepids import Binding

BIND_PATH = "/_matrix/identity/v2/3pid/bind"
UNBIND_PATH = "/_matrix/identity/v2/3pid/unbind"
HASH_DETAILS_PATH = "/_matrix/identity/v2/hash_details"
LOOKUP_PATH = "/_matrix/identity/v2/lookup"
STORE_INVITE_PATH = "/_matrix/identity/v2/store-invite"
TIMEOUT_S = 30.0
MAX_ANSWER = 64 * 1024
"""Bytes."""

_TOKEN = re.compile(r"[0-9a-zA-Z.=_-]{1,255}")
Answer = TypeVar("Answer")


class _Bound(msgspec.Struct, frozen=True):
    medium: str
    address: str


class _HashDetails(msgspec.Struct, frozen=True):
    lookup_pepper: str
    algorithms: list[str]


class _Found(msgspec.Struct, frozen=True):
    mappings: dict[str, str]


class InviteKey(msgspec.Struct, frozen=True):
    """A key with which whoever accepts a stored invite has it signed."""

    public_key: str
    key_validity_url: str


class StoredInvite(msgspec.Struct, frozen=True):
    """What an identity server says of an invite that it keeps until the address is somebody's."""

    token: str
    display_name: str
    public_keys: list[InviteKey]


class _Refused(msgspec.Struct, frozen=True):
    errcode: str = "M_UNKNOWN"
    error: str = "The identity server refuses"


class IdentityServers:
    """Binds and unbinds identifiers."""

    def __init__(
        self,
        servers: tuple[IdentityServer, ...],
        db: Database,
        http: HttpClient,
        *,
        server_name: str,
        keys: ServerKeys,
    ) -> None:
        self._urls = {server.name: server.url.rstrip("/") for server in servers}
        self._db = db
        self._http = http
        self._server_name = server_name
        self._keys = keys

    async def bind(
        self, user_id: UserId, id_server: str, access_token: str, session_id: str, client_secret: str
    ) -> None:
        """Have an identity server tell others that what was validated there is the user's.

        Raises BadRequest, M_SERVER_NOT_TRUSTED, Unavailable, and what the identity server answers.
        """
        content = {"sid": session_id, "client_secret": client_secret, "mxid": user_id}
        bound = await self._ask(id_server, access_token, BIND_PATH, content, _Bound)
        check_text(bound.medium, "medium")
        check_text(bound.address, "address")
        binding = Binding(user_id=user_id, medium=bound.medium, address=bound.address, id_server=id_server)
        await self._db.write(lambda tx: storage.bind(tx, binding))

    async def lookup(self, id_server: str, access_token: str, medium: str, address: str) -> UserId | None:
        """The user to whom an identity server says that an address belongs, if anybody.

        Raises as ``bind`` does.
        """
        details = await self._ask(id_server, access_token, HASH_DETAILS_PATH, None, _HashDetails)
        hashed = "sha256" in details.algorithms
        query = f"{address} {medium} {details.lookup_pepper}" if hashed else f"{address} {medium}"
        content = {
            "algorithm": "sha256" if hashed else "none",
            "pepper": details.lookup_pepper,
            "addresses": [encode_urlsafe(sha256(query.encode()).digest()) if hashed else query],
        }
        found = await self._ask(id_server, access_token, LOOKUP_PATH, content, _Found)
        user_id = found.mappings.get(content["addresses"][0])
        return None if user_id is None else parse_user_id(user_id)

    async def store_invite(self, id_server: str, access_token: str, content: dict[str, str]) -> StoredInvite:
        """Have an identity server keep an invite, and tell who has the address; raises as ``bind`` does."""
        stored = await self._ask(id_server, access_token, STORE_INVITE_PATH, content, StoredInvite)
        if _TOKEN.fullmatch(stored.token) is None or not stored.public_keys:
            raise Unavailable("The identity server's answer cannot be used")
        return stored

    async def unbind(self, user_id: UserId, medium: str, address: str, id_server: str | None) -> bool:
        """Have what ``bind`` said taken back, wherever it was said unless a server is named.

        False where no server is known that can. Raises Unavailable, and what the server answers.
        """
        known = await self._db.read(lambda tx: storage.bindings(tx, user_id))
        of_address = [item for item in known if (item.medium, item.address) == (medium, address)]
        if id_server is not None:
            of_address = [Binding(user_id=user_id, medium=medium, address=address, id_server=id_server)]
        done = [await self._unbind(binding) for binding in of_address]
        return bool(done) and all(done)

    async def unbind_all(self, user_id: UserId, id_server: str | None) -> bool:
        """Have everything that was said of a user taken back, as ``unbind`` does; whether all of it was."""
        known = await self._db.read(lambda tx: storage.bindings(tx, user_id))
        if id_server is not None:
            own = await self._db.read(lambda tx: storage.of_user(tx, user_id))
            addresses = {(item.medium, item.address) for item in known}
            addresses |= {(item.medium, item.address) for item in own}
            known = [
                Binding(user_id=user_id, medium=medium, address=address, id_server=id_server)
                for medium, address in sorted(addresses)
            ]
        unbound = True
        for binding in known:
            try:
                unbound = await self._unbind(binding) and unbound
            except MatrixError:
                unbound = False
        return unbound

    async def _unbind(self, binding: Binding) -> bool:
        url = self._urls.get(binding.id_server)
        if url is None:
            return False
        content = {
            "mxid": binding.user_id,
            "threepid": {"medium": binding.medium, "address": binding.address},
        }
        authorization = self._authorization(binding.id_server, UNBIND_PATH, content)
        status, answer = await self._post(url + UNBIND_PATH, to_json(content), authorization)
        if status in (400, 404, 501):
            return False
        if status != 200:
            raise _refused(status, answer)
        await self._db.write(lambda tx: storage.unbind(tx, binding))
        return True

    async def _ask(
        self, id_server: str, access_token: str, path: str, content: dict[str, Any] | None, kind: type[Answer]
    ) -> Answer:
        """POST ``content``, or GET where that is None, on behalf of a user."""
        url = self._urls.get(id_server)
        if url is None:
            raise BadRequest("The identity server is not trusted", errcode="M_SERVER_NOT_TRUSTED")
        if not access_token.isascii() or not access_token.isprintable():
            raise BadRequest("Not an access token", errcode="M_INVALID_PARAM")
        body = None if content is None else to_json(content)
        status, answer = await self._post(url + path, body, f"Bearer {access_token}")
        if status != 200:
            raise _refused(status, answer)
        try:
            return msgspec.json.decode(answer, type=kind)
        except msgspec.DecodeError as error:
            raise Unavailable("The identity server's answer cannot be read") from error

    async def _post(self, url: str, body: bytes | None, authorization: str) -> tuple[int, bytes]:
        headers = {"Content-Type": "application/json", "Authorization": authorization}
        method = "GET" if body is None else "POST"
        try:
            async with self._http.request(
                method, url, headers=headers, body=body, timeout_s=TIMEOUT_S
            ) as response:
                return response.status, await response.read(MAX_ANSWER)
        except HttpError as error:
            raise Unavailable("The identity server cannot be reached") from error

    def _authorization(self, destination: str, path: str, content: dict[str, Any]) -> str:
        """The request's signature (spec: server-server API, "Request Authentication")."""
        origin = self._server_name
        request = {
            "method": "POST",
            "uri": path,
            "origin": origin,
            "destination": destination,
            "content": content,
        }
        ((key_id, signature),) = self._keys.sign(request)["signatures"][origin].items()
        return f'X-Matrix origin="{origin}",destination="{destination}",key="{key_id}",sig="{signature}"'


def _refused(status: int, answer: bytes) -> MatrixError:
    """The identity server's error, handed on."""
    if status >= 500:
        return Unavailable("The identity server fails")
    try:
        refused = msgspec.json.decode(answer, type=_Refused)
    except msgspec.DecodeError:
        refused = _Refused()
    if status == 401:
        # With that status, or M_UNKNOWN_TOKEN, a client would take its session here for ended.
        return Forbidden(refused.error)
    return BadRequest(refused.error, errcode=refused.errcode, status=status if status >= 400 else 400)
