"""What the types of the configuration cannot say: whether its values make sense, and fit each other."""

from __future__ import annotations

import re
import ssl
from collections import Counter
from collections.abc import Iterator
from ipaddress import ip_network
from urllib.parse import urlsplit

from palpo.config.model import Config
from palpo.config.sections.listeners import PARTS, Listener
from palpo.config.sign_on_checks import sign_on_problems
from palpo.core.errors import InvalidParam
from palpo.core.identifiers import is_user_id, parse_server_name
from palpo.core.room_versions import ROOM_VERSIONS
from palpo.core.server_names import is_ip_literal, split_server_name

DATABASES = ("sqlite", "postgresql", "postgres", "mysql", "mariadb")
MAX_PORT = 65_535
SERVER_GLOB = re.compile(r"[0-9A-Za-z.:\[\]*?-]{1,255}")


def problems(config: Config) -> Iterator[str]:
    """Each thing that is wrong, as ``setting: what``."""
    yield from _names(config)
    yield from _listeners(config)
    yield from _urls(config)
    yield from _networks(config)
    yield from _federation(config)
    yield from _halves(config)
    yield from sign_on_problems(config)
    if config.rooms.default_version not in ROOM_VERSIONS:
        yield f"rooms.default_version: there is no room version {config.rooms.default_version!r}"
    for transport in config.rtc.transports:
        if not isinstance(transport.get("type"), str):
            yield "rtc.transports: each has a type"


def _names(config: Config) -> Iterator[str]:
    try:
        parse_server_name(config.server_name)
    except InvalidParam:
        yield f"server_name: {config.server_name!r} is no server name, such as example.org"
        return
    for user_id in config.admins:
        if not is_user_id(user_id) or user_id.partition(":")[2] != config.server_name:
            yield f"admins: {user_id!r} is no user ID of this server, such as @alice:{config.server_name}"
    contact = config.well_known.admin_matrix_id
    if contact and not is_user_id(contact):
        yield f"well_known.admin_matrix_id: {contact!r} is no user ID"


def _listeners(config: Config) -> Iterator[str]:
    if not config.listeners:
        yield "listeners: there is none"
    for listener in config.listeners:
        path = listener.unix_path
        host, _, port = listener.bind.rpartition(":")
        if path is not None:
            if not path.is_absolute():
                yield f"listeners: {listener.bind!r} is no Unix socket, such as unix:/run/palpo/palpo.sock"
        elif not host or not (port.isascii() and port.isdigit()) or int(port[:6]) > MAX_PORT:
            yield f"listeners: {listener.bind!r} is no address and port, such as 127.0.0.1:8008"
        for part in listener.serves:
            if part not in PARTS:
                yield f"listeners: serves: {part!r} is none of {', '.join(PARTS)}"
        yield from _tls(listener)
    for bind, times in Counter(item.bind for item in config.listeners).items():
        if times > 1:
            yield f"listeners: {bind!r} is there {times} times"


def _tls(listener: Listener) -> Iterator[str]:
    files = (listener.tls_certificate, listener.tls_key)
    if (files[0] is None) != (files[1] is None):
        yield "listeners: tls_certificate and tls_key come together"
    for file in files:
        if file is not None and not file.is_file():
            yield f"listeners: there is no file {file}"


def _urls(config: Config) -> Iterator[str]:
    try:
        parts = urlsplit(config.database_url)
        known = parts.scheme in DATABASES and (parts.port or 1)
        if parts.scheme == "sqlite":
            known = not parts.netloc and len(parts.path) > 1
    except ValueError:
        known = False
    if not known:
        yield "database.url: it is sqlite:///PATH, postgresql://… or mysql://…"
    if config.redis_url and urlsplit(config.redis_url).scheme not in ("redis", "rediss", "unix"):
        yield "redis_url: it is redis://…, rediss://… or unix://…"


def _networks(config: Config) -> Iterator[str]:
    for name in ("allow", "deny"):
        for text in getattr(config.network, name):
            try:
                ip_network(text, strict=False)
            except ValueError:
                yield f"network.{name}: {text!r} is no network, such as 10.1.0.0/16"
    for text in config.http.trusted_proxies:
        try:
            ip_network(text.strip(), strict=False)
        except ValueError:
            yield (
                f"http.trusted_proxies: {text!r} is no address or network, such as 127.0.0.1 or 10.1.0.0/16"
            )


def _federation(config: Config) -> Iterator[str]:
    for name in ("allow", "deny"):
        for glob in getattr(config.federation, name):
            if SERVER_GLOB.fullmatch(glob) is None:
                yield f"federation.{name}: {glob!r} is no server name, such as example.org or *.example.org"
    for host, place in config.federation.hosts.items():
        if not _is_host(host) or not _is_place(place):
            yield f"federation.hosts: {host!r} = {place!r} is no host and its address, with a port or without"
    if config.federation.ca_file is not None:
        try:
            ssl.create_default_context(cafile=config.federation.ca_file)
        except OSError as error:
            yield f"federation.ca_file: {config.federation.ca_file} cannot be used: {error.strerror or error}"


def _is_host(text: str) -> bool:
    try:
        return split_server_name(text).port is None
    except InvalidParam:
        return False


def _is_place(text: str) -> bool:
    """Whether it is an address, ``10.1.0.2`` or ``[2001:db8::2]``, with a port or without."""
    try:
        return is_ip_literal(split_server_name(text).host)
    except InvalidParam:
        return False


def _halves(config: Config) -> Iterator[str]:
    """Settings that are of no use without another."""
    if config.email.host and not config.email.sender:
        yield "email.sender: it is needed to send email"
    if config.turn.uris and not config.turn.shared_secret:
        yield "turn.shared_secret: it is needed for turn.uris"
    if config.registration.captcha.public_key and not config.registration.captcha.private_key:
        yield "registration.captcha.private_key: it is needed to check answers"
    if config.delegated and not config.oauth.delegation.secret:
        yield "oauth.delegation.secret: it is needed for oauth.delegation.endpoint"
