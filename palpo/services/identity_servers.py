"""Telling identity servers of users (spec: identity service API, "Establishing Associations"), those only
that the operator trusts."""

from __future__ import annotations

from typing import Any

import msgspec

from palpo.config.model import IdentityServer
from palpo.core import canonical_json
from palpo.core.bounded_text import check_text
from palpo.core.canonical_json import to_json
from palpo.core.errors import BadRequest, MatrixError, Unavailable
from palpo.core.signing import SigningKey
from palpo.db.engine import Database
from palpo.net.http_client import HttpClient, HttpError
from palpo.storage import threepids as storage
from palpo.storage.threepids import Binding

BIND_PATH = "/_matrix/identity/v2/3pid/bind"
UNBIND_PATH = "/_matrix/identity/v2/3pid/unbind"
TIMEOUT_S = 30.0
MAX_ANSWER = 64 * 1024
"""Bytes."""


class _Bound(msgspec.Struct, frozen=True):
    medium: str
    address: str


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
        key: SigningKey,
    ) -> None:
        self._urls = {server.name: server.url.rstrip("/") for server in servers}
        self._db = db
        self._http = http
        self._server_name = server_name
        self._key = key

    async def bind(
        self, user_id: str, id_server: str, access_token: str, session_id: str, client_secret: str
    ) -> None:
        """Have an identity server tell others that what was validated there is the user's.

        Raises BadRequest, M_SERVER_NOT_TRUSTED, Unavailable, and what the identity server answers.
        """
        url = self._urls.get(id_server)
        if url is None:
            raise BadRequest("The identity server is not trusted", errcode="M_SERVER_NOT_TRUSTED")
        if not access_token.isascii() or not access_token.isprintable():
            raise BadRequest("Not an access token", errcode="M_INVALID_PARAM")
        body = to_json({"sid": session_id, "client_secret": client_secret, "mxid": user_id})
        status, answer = await self._post(url + BIND_PATH, body, f"Bearer {access_token}")
        if status != 200:
            raise _refused(status, answer)
        try:
            bound = msgspec.json.decode(answer, type=_Bound)
        except msgspec.DecodeError as error:
            raise Unavailable("The identity server's answer cannot be read") from error
        check_text(bound.medium, "medium")
        check_text(bound.address, "address")
        binding = Binding(user_id=user_id, medium=bound.medium, address=bound.address, id_server=id_server)
        await self._db.write(lambda tx: storage.bind(tx, binding))

    async def unbind(self, user_id: str, medium: str, address: str, id_server: str | None) -> bool:
        """Have what ``bind`` said taken back, wherever it was said unless a server is named.

        False where no server is known that can. Raises Unavailable, and what the server answers.
        """
        known = await self._db.read(lambda tx: storage.bindings(tx, user_id))
        of_address = [item for item in known if (item.medium, item.address) == (medium, address)]
        if id_server is not None:
            of_address = [Binding(user_id=user_id, medium=medium, address=address, id_server=id_server)]
        done = [await self._unbind(binding) for binding in of_address]
        return bool(done) and all(done)

    async def user_gone(self, user_id: str, erase: bool) -> None:
        """Take back whatever was said of an account that was deactivated, as far as that can be done."""
        for binding in await self._db.read(lambda tx: storage.bindings(tx, user_id)):
            try:
                await self._unbind(binding)
            except MatrixError:
                continue

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

    async def _post(self, url: str, body: bytes, authorization: str) -> tuple[int, bytes]:
        headers = {"Content-Type": "application/json", "Authorization": authorization}
        try:
            async with self._http.request(
                "POST", url, headers=headers, body=body, timeout_s=TIMEOUT_S
            ) as response:
                return response.status, await response.read(MAX_ANSWER)
        except HttpError as error:
            raise Unavailable("The identity server cannot be reached") from error

    def _authorization(self, destination: str, path: str, content: dict[str, Any]) -> str:
        """The request's signature (spec: server-server API, "Request Authentication")."""
        origin, key = self._server_name, self._key
        signed = {
            "method": "POST",
            "uri": path,
            "origin": origin,
            "destination": destination,
            "content": content,
        }
        signature = key.sign(canonical_json.encode_lax(signed))
        return f'X-Matrix origin="{origin}",destination="{destination}",key="{key.key_id}",sig="{signature}"'


def _refused(status: int, answer: bytes) -> MatrixError:
    """The identity server's error, handed on."""
    if status >= 500:
        return Unavailable("The identity server fails")
    try:
        refused = msgspec.json.decode(answer, type=_Refused)
    except msgspec.DecodeError:
        refused = _Refused()
    return BadRequest(refused.error, errcode=refused.errcode, status=status if status >= 400 else 400)
