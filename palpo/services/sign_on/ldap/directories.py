"""Logging in with a password that a directory knows."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
import structlog

from palpo.config.model import Config
from palpo.config.sections.sign_on import LdapConfig
from palpo.core.claim_templates import to_localpart
from palpo.core.errors import Forbidden, MatrixError, Unavailable
from palpo.core.identifiers import MAX_LENGTH
from palpo.core.records.accounts import Account
from palpo.services.sign_on.identities import ClaimMapping, Identity
from palpo.services.sign_on.ldap.directory import Directory, DirectoryError, Entry
from palpo.services.sign_on.linked_accounts import Choice, LinkedAccounts
from palpo.streams.fair_queue import FairThreads

log = structlog.get_logger("palpo.sign_on")

THREADS = 4
MAX_WAITING = 64
MAX_WAITING_EACH = 8


class Directories:
    """Asks one after the other, in threads of their own: one that does not answer holds up nothing else."""

    def __init__(
        self, config: Config, directories: Iterable[tuple[LdapConfig, Directory]], linked: LinkedAccounts
    ) -> None:
        self._server_name = config.server_name
        self._directories = [(of, directory, ClaimMapping(of)) for of, directory in directories]
        self._linked = linked
        self._threads: FairThreads | None = None

    async def check(self, user: str, password: str) -> Account | None:
        """The account of who has this password in a directory; None where nobody has.

        ``user`` is a user ID of this server, or what somebody is called in the directory. Raises Forbidden
        for who may not log in here, and Unavailable where a directory does not answer.
        """
        username = self._username(user)
        if username is None:
            return None
        for config, directory, mapping in self._directories:
            entry = await self._ask(config, directory, username, password)
            if entry is not None:
                return await self._account(config, mapping, username, entry)
        return None

    def _username(self, user: str) -> str | None:
        if user.startswith("@"):
            localpart, _, server = user[1:].partition(":")
            return localpart if server == self._server_name else None
        return user if user and len(user) <= MAX_LENGTH and "\0" not in user else None

    async def _ask(
        self, config: LdapConfig, directory: Directory, username: str, password: str
    ) -> Entry | None:
        if self._threads is None:
            self._threads = FairThreads(
                "ldap", workers=THREADS, waiting=MAX_WAITING, waiting_each=MAX_WAITING_EACH
            )
        try:
            return await self._threads.run(lambda: directory.find(username, password))
        except DirectoryError as error:
            log.warning("directory_failed", directory=config.id, error=str(error))
            raise Unavailable("The directory does not answer") from error

    async def _account(
        self, config: LdapConfig, mapping: ClaimMapping, username: str, entry: Entry
    ) -> Account:
        """The account that is linked, or a new one; raises Forbidden where there can be none."""
        subject = entry.attributes.get(config.subject_attribute)
        if not isinstance(subject, str):
            raise Forbidden("The directory does not say who you are")
        claims = {**entry.attributes, "username": username, "dn": entry.dn}
        identity = Identity(provider=config.id, external_id=subject, claims=claims)
        person = mapping.person(claims)
        if not config.localpart_template:
            person = msgspec.structs.replace(person, localpart=to_localpart(username))
        try:
            settled = await self._linked.settle(identity, person, config, lambda: None)
        except MatrixError as error:
            if error.status in (401, 403):
                raise
            raise Forbidden(error.message) from error
        if isinstance(settled, Choice):
            raise Forbidden("Somebody else has your name here: ask whoever runs the server")
        return settled
