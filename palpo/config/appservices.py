"""Registrations of application services: the YAML files (spec: application service API, "Registration").

A registration says who the service is, and in which namespaces of users, aliases and rooms it is
interested. Users count only where they are this server's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from palpo.config.errors import ConfigError
from palpo.config.yaml_files import read_yaml
from palpo.core.errors import InvalidParam
from palpo.core.identifiers import make_user_id, server_name_of

MAX_ID = 128
"""Bytes of an application service's ID: names in the database are made with it."""


class _NamespaceFile(msgspec.Struct, frozen=True, kw_only=True):
    regex: str
    exclusive: bool = False


class _NamespacesFile(msgspec.Struct, frozen=True, kw_only=True):
    users: list[_NamespaceFile] | None = None
    aliases: list[_NamespaceFile] | None = None
    rooms: list[_NamespaceFile] | None = None


class _RegistrationFile(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    url: str | None
    as_token: str
    hs_token: str
    sender_localpart: str
    namespaces: _NamespacesFile
    rate_limited: bool | None = None
    protocols: list[str] | None = None
    receive_ephemeral: bool | None = None
    old_ephemeral: bool | None = msgspec.field(name="de.sorunome.msc2409.push_ephemeral", default=None)
    older_ephemeral: bool | None = msgspec.field(name="push_ephemeral", default=None)
    encryption: bool | None = msgspec.field(name="org.matrix.msc3202", default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Namespace:
    """IDs that begin with what ``pattern`` matches; an exclusive one is closed to everybody else."""

    pattern: re.Pattern[str]
    exclusive: bool = False

    def covers(self, text: str) -> bool:
        """Whether ``text`` is in the namespace."""
        return self.pattern.match(text) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """One application service."""

    id: str
    url: str | None
    """Without a slash at the end; None where it wants no requests."""
    as_token: str = field(repr=False)
    hs_token: str = field(repr=False)
    sender: str
    """The user ID of ``sender_localpart``."""
    users: Sequence[Namespace] = ()
    aliases: Sequence[Namespace] = ()
    rooms: Sequence[Namespace] = ()
    rate_limited: bool = True
    protocols: Sequence[str] = ()
    ephemeral: bool = False
    """Whether it receives typing, receipts and presence."""
    ephemeral_key: str = "ephemeral"
    """Under which key of a transaction (spec v1.13, or MSC2409)."""
    encryption: bool = False
    """Whether it receives what its users' devices need for encryption (MSC3202, MSC4203)."""

    def has_user(self, user_id: str) -> bool:
        """Whether it may act as a user: one in its namespaces, or its own sender; this server's."""
        if user_id == self.sender:
            return True
        local = user_id.partition(":")[2] == server_name_of(self.sender)
        return local and any(namespace.covers(user_id) for namespace in self.users)

    def has_alias(self, alias: str) -> bool:
        """Whether an alias is in its namespaces."""
        return any(namespace.covers(alias) for namespace in self.aliases)

    def has_room(self, room_id: str) -> bool:
        """Whether a room ID is in its namespaces."""
        return any(namespace.covers(room_id) for namespace in self.rooms)

    def owns_user(self, user_id: str) -> bool:
        """Whether nobody else may make or be that user."""
        if user_id == self.sender:
            return True
        local = user_id.partition(":")[2] == server_name_of(self.sender)
        return local and any(item.exclusive and item.covers(user_id) for item in self.users)

    def owns_alias(self, alias: str) -> bool:
        """Whether nobody else may make or delete that alias."""
        return any(item.exclusive and item.covers(alias) for item in self.aliases)


def load_registrations(paths: Iterable[Path], *, server_name: str) -> tuple[Registration, ...]:
    """Read registration files; raises ConfigError where one is wrong, or two share an ID or a token."""
    found: list[Registration] = []
    for path in paths:
        values = read_yaml(path)
        try:
            found.append(read_registration(values, server_name=server_name))
        except (msgspec.ValidationError, InvalidParam, ValueError) as error:
            raise ConfigError(f"{path}: {error}") from error
    for what in ("id", "as_token", "sender"):
        values = [getattr(item, what) for item in found]
        if len(set(values)) < len(values):
            raise ConfigError(f"Two application services have the same {what}")
    return tuple(found)


def read_registration(values: Any, *, server_name: str) -> Registration:
    """A registration from the object that its file holds.

    Raises msgspec.ValidationError, InvalidParam for a sender that is no localpart, and ValueError.
    """
    read = msgspec.convert(values, _RegistrationFile)
    if not read.id or len(read.id.encode()) > MAX_ID or "\0" in read.id:
        raise ValueError(f"The id has 1 to {MAX_ID} bytes, and no NUL")
    if not read.as_token or not read.hs_token or not read.sender_localpart:
        raise ValueError("as_token, hs_token and sender_localpart must not be empty")
    if read.url and not read.url.startswith(("http://", "https://")):
        raise ValueError("The url is neither http:// nor https://")
    old = bool(read.old_ephemeral or read.older_ephemeral)
    return Registration(
        id=read.id,
        url=read.url.rstrip("/") if read.url else None,
        as_token=read.as_token,
        hs_token=read.hs_token,
        sender=make_user_id(read.sender_localpart, server_name),
        users=_namespaces(read.namespaces.users),
        aliases=_namespaces(read.namespaces.aliases),
        rooms=_namespaces(read.namespaces.rooms),
        rate_limited=read.rate_limited is not False,
        protocols=tuple(read.protocols or ()),
        ephemeral=bool(read.receive_ephemeral) or old,
        ephemeral_key="ephemeral" if read.receive_ephemeral or not old else "de.sorunome.msc2409.ephemeral",
        encryption=bool(read.encryption),
    )


def _namespaces(items: Iterable[_NamespaceFile] | None) -> tuple[Namespace, ...]:
    try:
        return tuple(
            Namespace(pattern=re.compile(item.regex), exclusive=item.exclusive) for item in items or ()
        )
    except re.error as error:
        raise ValueError(f"Not a regular expression: {error}") from error
