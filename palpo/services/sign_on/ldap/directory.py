"""One directory, asked in a thread: to whom a name and a password belong there.

ldap3 waits for its answers, so nothing here is for the event loop.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, Any

from palpo.config.sections.sign_on import LdapConfig

if TYPE_CHECKING:
    from ldap3 import Connection, Server

MAX_VALUES = 1000
"""Of an attribute: those that are kept."""


class DirectoryError(Exception):
    """The directory cannot be asked, or does not answer as it should."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """Somebody in the directory, who has the password."""

    dn: str
    attributes: dict[str, Any]


class Directory:
    """One of ``[[ldap]]``."""

    def __init__(self, config: LdapConfig) -> None:
        self._config = config
        self._tls = ssl.create_default_context(cafile=config.ca_file)

    def find(self, username: str, password: str) -> Entry | None:
        """Who has this name and this password; raises DirectoryError.

        An empty password is nobody's: a directory takes it for somebody who does not say who they are.
        """
        if not password or not username:
            return None
        from ldap3.core.exceptions import LDAPException

        try:
            return self._find(username, password)
        except (LDAPException, OSError, ssl.SSLError) as error:
            raise DirectoryError(str(error)) from error

    def _find(self, username: str, password: str) -> Entry | None:
        from ldap3.utils.conv import escape_filter_chars
        from ldap3.utils.dn import escape_rdn

        if self._config.bind_dn_template:
            dn = self._config.bind_dn_template.replace("{username}", escape_rdn(username))
            with self._connected(dn, password) as connection:
                return self._read(connection, dn) if connection.bind() else None
        with self._connected(self._config.bind_dn, self._config.bind_password) as connection:
            if not connection.bind():
                raise DirectoryError("the directory does not take ldap.bind_dn and ldap.bind_password")
            filter_ = self._config.filter.replace("{username}", escape_filter_chars(username))
            entry = self._search(connection, self._config.base, filter_, "SUBTREE")
        if entry is None:
            return None
        with self._connected(entry.dn, password) as connection:
            return entry if connection.bind() else None

    def _read(self, connection: Connection, dn: str) -> Entry | None:
        return self._search(connection, dn, "(objectClass=*)", "BASE")

    def _search(self, connection: Connection, base: str, filter_: str, scope: Any) -> Entry | None:
        """The only entry that is found; None where there is none, or several."""
        wanted = [*self._config.attributes, self._config.subject_attribute]
        connection.search(
            base,
            filter_,
            search_scope=scope,
            attributes=wanted,
            size_limit=2,
            time_limit=ceil(self._config.timeout_seconds),
        )
        found = [item for item in connection.response or () if item["type"] == "searchResEntry"]
        if len(found) != 1:
            return None
        given = found[0]["raw_attributes"]
        return Entry(dn=found[0]["dn"], attributes={name: _values(given[name]) for name in given})

    @contextmanager
    def _connected(self, user: str, password: str) -> Iterator[Connection]:
        """A connection by which somebody can bind, over TLS where that is wanted."""
        connection = self._connection(user, password)
        try:
            if self._config.start_tls and not self._config.uri.startswith("ldaps://"):
                connection.open(read_server_info=False)
                if not connection.start_tls(read_server_info=False):
                    raise DirectoryError("the directory does not change to TLS")
            yield connection
        finally:
            connection.unbind()
            if connection.socket is not None:
                # ldap3 leaves it open where TLS has failed.
                connection.socket.close()

    def _wrap(self, connection: Connection, do_handshake: bool = False) -> None:
        """TLS as Python does it: ldap3's own look at the names in a certificate has seen better days."""
        connection.socket = self._tls.wrap_socket(
            connection.socket, server_hostname=connection.server.host, do_handshake_on_connect=do_handshake
        )

    def _connection(self, user: str, password: str) -> Connection:
        from ldap3 import NONE, SIMPLE, Connection, Server, Tls

        seconds = ceil(self._config.timeout_seconds)
        tls = Tls()
        tls.wrap_socket = self._wrap
        server: Server = Server(
            self._config.uri,
            use_ssl=self._config.uri.startswith("ldaps://"),
            tls=tls,
            get_info=NONE,
            connect_timeout=seconds,
        )
        return Connection(
            server,
            user=user or None,
            password=password or None,
            authentication=SIMPLE if user else None,
            auto_bind=False,
            auto_referrals=False,
            read_only=True,
            receive_timeout=seconds,
            raise_exceptions=False,
        )


def _values(raw: list[bytes]) -> Any:
    """An attribute as text: of several values a list, in the directory's order."""
    texts = [_text(value) for value in raw[:MAX_VALUES]]
    return texts[0] if len(texts) == 1 else texts


def _text(value: bytes) -> str:
    """A value that is no text, such as a GUID, in hexadecimal: no two become the same."""
    try:
        text = value.decode("utf-8")
    except UnicodeDecodeError:
        return value.hex()
    return text if text.isprintable() else value.hex()
