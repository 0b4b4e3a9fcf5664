"""Signing keys of servers: what servers and notaries answer, checked (spec: server-server API, "Retrieving
server keys").

An answer proves nothing by itself: anybody can make keys and sign with them. It is believed because of who
gave it: the server itself, over TLS, or a notary that is trusted and has signed it too.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import msgspec

from palpo.core import canonical_json, signing, unpadded_base64
from palpo.core.errors import BadJson, MatrixError
from palpo.core.identifiers import MAX_LENGTH, ServerName
from palpo.core.json_parts import decode_parts
from palpo.core.signing import SignatureError

DAY_MS = 24 * 3600 * 1000
LONGEST_MS = 7 * DAY_MS
"""For how long a key is believed to be valid, whatever its server says."""
MAX_ANSWER = 64 * 1024
"""Bytes of one server's answer."""
MAX_KEYS = 32
"""Keys of a kind in one answer: a signature is checked for each."""
MAX_ANSWERS = 4
"""Answers of a notary that are looked at for one server: some send one for each key."""

_MOST_TS = 2**53


class ServerKey(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A public key of a server. Times are milliseconds since the Unix epoch."""

    server_name: ServerName
    key_id: str
    verify_key: str
    """In unpadded base64."""
    valid_until_ts: int
    """When it stopped being used, or until when it is certain to be."""
    retired: bool
    """Whether it is one of the old keys: those sign nothing new."""

    def serves(self, wanted: WantedKey) -> bool:
        """Whether it is a key that is wanted."""
        return (
            wanted.key_id in (None, self.key_id)
            and wanted.server_name == self.server_name
            and self.valid_until_ts >= wanted.valid_until_ts
            and (wanted.for_events or not self.retired)
        )


class WantedKey(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A key that somebody looks for."""

    server_name: ServerName
    key_id: str | None
    """None: any of the server's will do."""
    valid_until_ts: int
    """The least that it may be valid until, in milliseconds since the Unix epoch."""
    for_events: bool = False
    """Whether one that is not in use any more will do: to check what was signed once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyAnswer:
    """What a server says of its keys, checked."""

    server_name: ServerName
    valid_until_ts: int
    """No later than ``LONGEST_MS`` from when it came."""
    keys: tuple[ServerKey, ...]
    json: bytes
    """The answer, in canonical JSON, with all its signatures."""


def parse_answer(data: bytes, server_name: ServerName, *, now_ms: int) -> KeyAnswer:
    """What ``server_name`` has answered at ``now_ms``; raises BadJson, NotJson or SignatureError.

    It has to be by its own name. Of its keys those count that have signed it and are well-formed; its old
    keys count if they are well-formed.
    """
    if len(data) > MAX_ANSWER:
        raise BadJson("The keys of a server are too large")
    return check_answer(canonical_json.decode_object(data), server_name, now_ms=now_ms)


def check_answer(obj: Any, server_name: ServerName, *, now_ms: int) -> KeyAnswer:
    """The same of decoded JSON."""
    if type(obj) is not dict or obj.get("server_name") != server_name:
        raise BadJson(f"Not the keys of {server_name}")
    if not _is_time(obj.get("valid_until_ts")):
        raise BadJson("valid_until_ts is not a time")
    encoded = canonical_json.encode_lax(obj)
    if len(encoded) > MAX_ANSWER:
        raise BadJson("The keys of a server are too large")
    until = min(obj["valid_until_ts"], now_ms + LONGEST_MS)
    current = {
        key_id: ServerKey(
            server_name=server_name,
            key_id=key_id,
            verify_key=verify_key,
            valid_until_ts=until,
            retired=False,
        )
        for key_id, verify_key in _self_signed(obj, server_name)
    }
    if not current:
        raise SignatureError(f"The keys of {server_name} are signed by none of them")
    # One that is said to be both is not used any more.
    keys = {**current, **{key.key_id: key for key in _old_keys(obj, server_name, now_ms)}}
    return KeyAnswer(server_name=server_name, valid_until_ts=until, keys=tuple(keys.values()), json=encoded)


def parse_notary_answer(data: bytes) -> list[dict[str, Any]]:
    """What a notary has answered, of whatever servers, not checked; raises BadJson, NotJson."""
    answers = decode_parts(data)
    answers = answers.get("server_keys") if type(answers) is dict else None
    if type(answers) is not list:
        raise BadJson("server_keys is not an array")
    return [obj for obj in answers if type(obj) is dict]


def notary_key_ids(answers: Iterable[dict[str, Any]], notary: ServerName) -> list[str]:
    """The IDs of the keys with which the notary says that it has signed them."""
    found = {key_id for obj in answers for key_id in signing.signature_key_ids(obj, notary)}
    return sorted(filter(is_key_id, found))[:MAX_KEYS]


def check_notary_answer(
    answers: Iterable[dict[str, Any]],
    asked: Collection[ServerName],
    notary: ServerName,
    notary_keys: Mapping[str, str],
    *,
    now_ms: int,
) -> Iterator[KeyAnswer]:
    """Those of a notary's answers that count, one after the other: to check one takes a while.

    They are of servers that it was ``asked`` for, it has signed them with one of ``notary_keys``, its verify
    keys by their IDs, and ``check_answer`` has nothing against them.
    """
    for server_name, obj in _named(answers, asked):
        try:
            verify_any(obj, notary, notary_keys)
            yield check_answer(obj, server_name, now_ms=now_ms)
        except MatrixError:
            continue


def verify_any(obj: dict[str, Any], server_name: str, verify_keys: Mapping[str, str]) -> None:
    """Check that one of these keys has signed ``obj``; raises SignatureError."""
    for key_id in signing.signature_key_ids(obj, server_name):
        if key_id in verify_keys:
            signing.verify_json(obj, server_name, key_id, verify_keys[key_id])
            return
    raise SignatureError(f"Not signed by {server_name}")


def changed_keys(known: Mapping[str, ServerKey], answer: KeyAnswer, *, now_ms: int) -> list[ServerKey]:
    """Those keys of an answer that are new or other than what is ``known``, by key ID, of its server.

    While a key is valid, and once it is retired, no other takes its ID. One that is retired stays it.
    """
    successors = (_successor(known.get(key.key_id), key, now_ms) for key in answer.keys)
    return [key for key in successors if key != known.get(key.key_id)]


def _successor(known: ServerKey | None, told: ServerKey, now_ms: int) -> ServerKey:
    if known is None:
        return told
    if known.verify_key != told.verify_key:
        return known if known.retired or known.valid_until_ts >= now_ms else told
    if known.retired != told.retired:
        return known if known.retired else told
    if told.retired:
        return told
    return max(known, told, key=lambda key: key.valid_until_ts)


def _self_signed(obj: dict[str, Any], server_name: ServerName) -> Iterator[tuple[str, str]]:
    """The ID and the key of each verify key that has signed ``obj``."""
    signatures = set(signing.signature_key_ids(obj, server_name))
    message = signing.signed_bytes(obj)
    for key_id, verify_key, _ in _well_formed(obj.get("verify_keys")):
        if key_id not in signatures:
            continue
        try:
            signing.verify(message, obj["signatures"][server_name][key_id], verify_key)
        except SignatureError:
            continue
        yield key_id, verify_key


def _old_keys(obj: dict[str, Any], server_name: ServerName, now_ms: int) -> Iterator[ServerKey]:
    for key_id, verify_key, said in _well_formed(obj.get("old_verify_keys", {})):
        if _is_time(said.get("expired_ts")):
            yield ServerKey(
                server_name=server_name,
                key_id=key_id,
                verify_key=verify_key,
                valid_until_ts=min(said["expired_ts"], now_ms + LONGEST_MS),
                retired=True,
            )


def _well_formed(keys: Any) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """The ID of each Ed25519 key, the key in unpadded base64, and what else is said of it."""
    if type(keys) is not dict:
        return
    if len(keys) > MAX_KEYS:
        raise BadJson(f"More than {MAX_KEYS} keys")
    for key_id, said in keys.items():
        verify_key = _verify_key(said.get("key")) if type(said) is dict else None
        if verify_key is not None and is_key_id(key_id):
            yield key_id, verify_key, said


def is_key_id(key_id: str) -> bool:
    """Whether it can be the ID of an Ed25519 key: some servers use more characters than the spec allows."""
    return len(key_id) <= MAX_LENGTH and _names_a_key(key_id)


@lru_cache(maxsize=4096)
def _names_a_key(key_id: str) -> bool:
    algorithm, _, version = key_id.partition(":")
    return (
        algorithm == signing.ALGORITHM
        and bool(version)
        and all("!" <= character <= "~" for character in version)
    )


def _verify_key(text: Any) -> str | None:
    """The key as we write it, if it is one."""
    if type(text) is not str:
        return None
    try:
        key = unpadded_base64.decode(text)
    except ValueError:
        return None
    return unpadded_base64.encode(key) if len(key) == signing.PUBLIC_KEY_BYTES else None


def _named(
    objects: Iterable[dict[str, Any]], asked: Collection[ServerName]
) -> Iterator[tuple[ServerName, dict[str, Any]]]:
    """Each object with its server's name, if that was asked for, and not too many for one server."""
    left = dict.fromkeys(asked, MAX_ANSWERS)
    for obj in objects:
        name = obj.get("server_name")
        if type(name) is str and left.get(ServerName(name), 0):
            left[ServerName(name)] -= 1
            yield ServerName(name), obj


def _is_time(value: Any) -> bool:
    return type(value) is int and 0 <= value < _MOST_TS
