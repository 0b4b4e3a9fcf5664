"""Email addresses of accounts, and showing that one is one's own (spec: client-server API, "Adding Account
Administrative Contact Information").

    request_email    a validation begins: a message with a link goes to the address, and the client has a
                     session ID
    submit           the link was followed: the validation is complete
    validated        the client shows session ID and client secret: what was validated
    show, proven     the same as a stage of user-interactive auth, and for the operation behind it

A validation is good for its purpose, and once. Whether an address belongs to an account is told in the
message to it, not in the answer to who asked.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Collection, Iterable
from urllib.parse import quote, urlsplit

import msgspec

from palpo.config.model import Config
from palpo.core.bounded_text import check_text
from palpo.core.errors import BadRequest, Forbidden, InvalidParam, LimitExceeded, Unavailable
from palpo.core.identifiers import UserId
from palpo.db.engine import Database
from palpo.db.transaction import WriteTransaction
from palpo.net.email import EmailError, Mailer
from palpo.services.server.emails import Emails
from palpo.storage import pushers as pushers_storage
from palpo.storage import threepids as storage
from palpo.storage.sessions import token_hash
from palpo.storage.threepids import Session, ThirdPartyId
from palpo.streams.clock import Clock
from palpo.wire.client.threepids import SUBMIT_PATH

EMAIL = "email"
MSISDN = "msisdn"
REGISTER, RESET_PASSWORD, ADD = "register", "password", "add"
"""What validations are for."""
SESSION_ID = "__session__"
"""What in a link is to be the ID of the validation: whoever makes the link does not know it yet."""
MAX_EMAIL = 254
"""Characters of an address (RFC 5321, 4.5.3.1.3)."""
MAX_SENT = 5
"""Messages to one address while a validation lives."""

_ADDRESS = re.compile(r"[a-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@(?:[a-z0-9-]{1,63}\.)*[a-z0-9-]{1,63}")
_DIGITS = re.compile(r"[0-9]{1,20}")
_CLIENT_SECRET = re.compile(r"[0-9a-zA-Z.=_-]{1,255}")

_EMAILS = Emails("palpo.services.accounts")


class ThirdPartyIds:
    """Validates email addresses, and keeps those of accounts."""

    def __init__(self, config: Config, db: Database, clock: Clock, mailer: Mailer | None) -> None:
        """``mailer`` None: this server sends no email, and validates nothing."""
        self._config = config
        self._db = db
        self._clock = clock
        self._mailer = mailer

    @property
    def enabled(self) -> bool:
        """Whether addresses can be validated."""
        return self._mailer is not None

    async def of_user(self, user_id: UserId) -> list[ThirdPartyId]:
        """The identifiers of an account."""
        return await self._db.read(lambda tx: storage.of_user(tx, user_id))

    async def owner(self, medium: str, address: str) -> UserId | None:
        """Whose account has an identifier; of one that cannot be, nobody's."""
        if medium != EMAIL or _ADDRESS.fullmatch(address.lower()) is None:
            return None
        return await self._db.read(lambda tx: storage.owner(tx, medium, address.lower()))

    async def request_email(
        self, purpose: str, email: str, client_secret: str, send_attempt: int, next_link: str | None
    ) -> str:
        """Send a message to an address, unless this attempt has been made; the session's ID.

        Raises InvalidParam, LimitExceeded; Forbidden, M_THREEPID_DENIED, for an address that the mail server
        does not take; Unavailable.
        """
        address = canonical_email(email)
        _check_client_secret(client_secret)
        _check_link(next_link)
        token = secrets.token_urlsafe(24)
        now = self._clock.now_ms()
        session_id = secrets.token_urlsafe(18)
        new = Session(
            session_id=session_id,
            purpose=purpose,
            medium=EMAIL,
            address=address,
            client_secret=client_secret,
            token_hash=token_hash(token),
            send_attempt=min(max(send_attempt, 0), 2**31),
            sent=1,
            next_link=next_link and next_link.replace(SESSION_ID, session_id),
            uia_session=None,
            validated_ts=None,
            expires_ts=now + self._config.email.token_seconds * 1000,
        )
        session, owner = await self._db.write(lambda tx: _begin(tx, new, now))
        if session.token_hash == new.token_hash:
            await self._send(session, token, owner)
        return session.session_id

    async def submit(self, session_id: str, token: str) -> str | None:
        """The link was followed: where to go next.

        Raises BadRequest, M_NO_VALID_SESSION or M_TOKEN_INCORRECT.
        """
        now = self._clock.now_ms()
        found = await self._session(session_id)
        if found is None or found.expires_ts <= now:
            raise BadRequest("The link is not good any more", errcode="M_NO_VALID_SESSION")
        if not secrets.compare_digest(found.token_hash, token_hash(token)):
            raise BadRequest("The link is not right", errcode="M_TOKEN_INCORRECT")
        await self._db.write(lambda tx: storage.validate(tx, session_id, now))
        return found.next_link

    async def validated(self, session_id: str, client_secret: str) -> Session:
        """The validation that a client has completed; raises Forbidden, M_THREEPID_AUTH_FAILED."""
        found = await self._session(session_id)
        if found is None or found.expires_ts <= self._clock.now_ms() or found.validated_ts is None:
            raise auth_failed()
        if not secrets.compare_digest(found.client_secret.encode(), client_secret.encode()):
            raise auth_failed()
        return found

    async def show(self, credentials: object, uia_session: str, user_id: UserId | None) -> None:
        """Take a completed validation as a stage of user-interactive auth.

        Where ``user_id`` is asked, the address must be theirs. Raises Forbidden.
        """
        values = credentials if isinstance(credentials, dict) else {}
        session_id, client_secret = values.get("sid"), values.get("client_secret")
        if not isinstance(session_id, str) or not isinstance(client_secret, str):
            raise auth_failed()
        found = await self.validated(session_id, client_secret)
        if user_id is not None and await self.owner(found.medium, found.address) != user_id:
            raise auth_failed()
        await self._db.write(lambda tx: storage.shown(tx, session_id, uia_session))

    async def proven(self, uia_session: str, purpose: str) -> Session | None:
        """What was shown in a session of user-interactive auth, if anything; it is spent by that.

        Raises Forbidden for a validation that had another purpose.
        """

        async def unit(tx: WriteTransaction) -> Session | None:
            found = await storage.session_of_uia(tx, uia_session)
            if found is not None:
                await storage.end_session(tx, found.session_id)
            return found

        found = await self._db.read(lambda tx: storage.session_of_uia(tx, uia_session))
        if found is None:
            return None
        found = await self._db.write(unit)
        if found is None or found.purpose != purpose:
            raise auth_failed()
        return found

    async def check_free(self, proven: Session) -> None:
        """Raises BadRequest, M_THREEPID_IN_USE, for an address that an account has."""
        if await self.owner(proven.medium, proven.address) is not None:
            raise threepid_in_use()

    async def add(self, user_id: UserId, proven: Session) -> None:
        """Give an account what was validated; raises BadRequest, M_THREEPID_IN_USE."""
        await self._db.write(lambda tx: self.add_within(tx, user_id, proven))

    async def add_within(self, tx: WriteTransaction, user_id: UserId, proven: Session) -> None:
        """As ``add``, within a unit of work."""
        now = self._clock.now_ms()
        new = ThirdPartyId(
            medium=proven.medium,
            address=proven.address,
            user_id=user_id,
            validated_ts=proven.validated_ts or now,
            added_ts=now,
        )

        await storage.end_session(tx, proven.session_id)
        if not await storage.add(tx, new):
            raise threepid_in_use()

    async def owner_of(self, medium: str, address: str) -> UserId | None:
        """Whose account has an identifier of any medium."""
        medium, address = canonical_threepid(medium, address)
        return await self._db.read(lambda tx: storage.owner(tx, medium, address))

    async def with_emails(self, user_id: UserId, emails: Iterable[str]) -> list[tuple[str, str]]:
        """What an account has, with these addresses in place of its own; raises InvalidParam."""
        others = [(item.medium, item.address) for item in await self.of_user(user_id) if item.medium != EMAIL]
        return [*others, *dict.fromkeys(canonical_threepid(EMAIL, email) for email in emails)]

    async def replace(self, user_id: UserId, wanted: Collection[tuple[str, str]]) -> list[tuple[str, str]]:
        """Let an account have these and no others, ``(medium, address)`` each; those that it has no more.

        Nobody has to have shown that they are theirs. Raises InvalidParam; BadRequest, M_THREEPID_IN_USE.
        """
        now = self._clock.now_ms()
        new = list(dict.fromkeys(canonical_threepid(*item) for item in wanted))

        async def unit(tx: WriteTransaction) -> list[tuple[str, str]]:
            before = [(item.medium, item.address) for item in await storage.of_user(tx, user_id)]
            gone = [item for item in before if item not in new]
            for medium, address in gone:
                await storage.remove(tx, user_id, medium, address)
                await pushers_storage.remove(tx, user_id, pushers_storage.EMAIL_APP_ID, address)
            for medium, address in new:
                added = ThirdPartyId(
                    medium=medium, address=address, user_id=user_id, validated_ts=now, added_ts=now
                )
                if not await storage.add(tx, added):
                    raise threepid_in_use()
            return gone

        return await self._db.write(unit)

    async def remove(self, user_id: UserId, medium: str, address: str) -> None:
        """Take an identifier from an account, with the pusher that sends mail to it."""
        known = {item.address for item in await self.of_user(user_id) if item.medium == medium}
        address = address if address in known else address.lower()
        if address not in known:
            return

        async def unit(tx: WriteTransaction) -> None:
            await storage.remove(tx, user_id, medium, address)
            await pushers_storage.remove(tx, user_id, pushers_storage.EMAIL_APP_ID, address)

        await self._db.write(unit)

    async def _session(self, session_id: str) -> Session | None:
        if len(session_id) > 255:
            return None
        return await self._db.read(lambda tx: storage.session(tx, session_id))

    async def _send(self, session: Session, token: str, owner: str | None) -> None:
        """Write to the address: with the link, or why there is none."""
        is_good = (owner is not None) == (session.purpose == RESET_PASSWORD)
        link = f"{self._config.base_url}{SUBMIT_PATH}?sid={quote(session.session_id)}&token={quote(token)}"
        subject, text = _EMAILS.write(
            "confirm_address",
            purpose=session.purpose,
            server=self._config.server_name,
            link=link if is_good else None,
        )
        try:
            if self._mailer is None:
                raise EmailError("this server sends no email", permanent=True)
            await self._mailer.send(session.address, subject, text)
        except EmailError as error:
            unknown = error.unknown
            await self._db.write(lambda tx: _not_sent(tx, session, is_unknown=unknown))
            if error.permanent:
                raise Forbidden("Email cannot be sent there", errcode="M_THREEPID_DENIED") from error
            raise Unavailable("Email cannot be sent at the moment") from error


async def _begin(tx: WriteTransaction, new: Session, now: int) -> tuple[Session, str | None]:
    """Store a validation, or the next attempt of one that is there, which may be as far as it was.

    Returns it with the account that the address belongs to; a link is only good where it leads somewhere.
    """
    await storage.prune(tx, now)
    old = await storage.session_of_request(tx, new.purpose, new.medium, new.address, new.client_secret)
    owner = await storage.owner(tx, new.medium, new.address)
    if old is not None and new.send_attempt <= old.send_attempt:
        return old, owner
    if await storage.count_sent(tx, new.address, now) >= MAX_SENT:
        raise LimitExceeded("Too many messages to this address", retry_after_ms=new.expires_ts - now)
    if old is not None:
        new = msgspec.structs.replace(
            new, session_id=old.session_id, sent=old.sent + 1, validated_ts=old.validated_ts
        )
    await storage.put_session(tx, new)
    return new, owner


async def _not_sent(tx: WriteTransaction, session: Session, *, is_unknown: bool) -> None:
    """Forget a validation of which no message went out; of one that perhaps did, the attempt only.

    So a link that arrived is good, and the same attempt made again sends another.
    """
    if is_unknown:
        await storage.put_session(tx, msgspec.structs.replace(session, send_attempt=-1))
    else:
        await storage.end_session(tx, session.session_id)


def canonical_email(text: str) -> str:
    """An address in the form in which it is compared; raises InvalidParam."""
    address = text.strip().lower()
    if len(address) > MAX_EMAIL or _ADDRESS.fullmatch(address) is None:
        raise InvalidParam("Not an email address")
    return address


def canonical_threepid(medium: str, address: str) -> tuple[str, str]:
    """An identifier in the form in which it is compared; raises InvalidParam."""
    if medium == EMAIL:
        return medium, canonical_email(address)
    if medium != MSISDN or _DIGITS.fullmatch(address) is None:
        raise InvalidParam("An identifier is an email address, or a msisdn of digits only")
    return medium, address


def auth_failed() -> Forbidden:
    """The identifier was not validated, or not with these credentials."""
    return Forbidden("The identifier has not been validated", errcode="M_THREEPID_AUTH_FAILED")


def threepid_in_use() -> BadRequest:
    return BadRequest("The address is in use", errcode="M_THREEPID_IN_USE")


def _check_client_secret(text: str) -> None:
    if _CLIENT_SECRET.fullmatch(text) is None:
        raise InvalidParam("client_secret consists of at most 255 of 0-9a-zA-Z.=_-")


def _check_link(link: str | None) -> None:
    if link is None:
        return
    check_text(link, "next_link", max_bytes=2048)
    try:
        parts = urlsplit(link)
    except ValueError:
        raise InvalidParam("next_link is not a URL") from None
    if (
        parts.scheme not in ("http", "https")
        or not parts.netloc
        or not link.isascii()
        or not link.isprintable()
    ):
        raise InvalidParam("next_link is an http or https URL")
