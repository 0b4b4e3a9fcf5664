"""Sending email, over SMTP (RFC 5321) to a server that the operator named.

The standard library's client is synchronous; it runs in threads of its own, a few at a time.
"""

from __future__ import annotations

import asyncio
import contextlib
import smtplib
import socket
import ssl
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate, make_msgid
from typing import Any

MAX_WAITING = 200
"""Messages that wait to be sent."""


LEAVE_SECONDS = 2.0
"""How long a mail server may take over QUIT."""


class EmailError(Exception):
    """A message was not accepted; ``permanent`` where it never will be.

    ``unknown``: the connection was lost after the message and before the answer to it.
    """

    def __init__(self, reason: str, *, permanent: bool = False, unknown: bool = False) -> None:
        super().__init__(reason)
        self.permanent = permanent
        self.unknown = unknown


@dataclass(frozen=True, slots=True, kw_only=True)
class MailServer:
    """Where messages go. ``security`` is ``none``, ``starttls`` or ``tls``; no ``username``: no login."""

    host: str
    port: int
    security: str
    username: str
    password: str
    sender: str
    """``Name <address>`` or an address."""
    timeout_s: float


class Mailer:
    """Sends messages; ``close`` it in the end."""

    def __init__(self, server: MailServer, *, tls: ssl.SSLContext | None = None) -> None:
        """``tls`` replaces the system's trust in certificate authorities."""
        self._server = server
        self._tls = tls
        self._threads = ThreadPoolExecutor(4, "palpo-email")
        self._waiting = 0

    async def send(self, to: str, subject: str, text: str) -> None:
        """Send plain text to one address, within ``timeout_s`` altogether; raises EmailError."""
        message = self._message(to, subject, text)
        if self._waiting >= MAX_WAITING:
            raise EmailError("too many messages wait to be sent")
        delivery = _Delivery(self._server, self._tls, message)
        self._waiting += 1
        try:
            async with asyncio.timeout(self._server.timeout_s):
                await asyncio.get_running_loop().run_in_executor(self._threads, delivery.run)
        except TimeoutError as error:
            delivery.abort()
            if not delivery.accepted:
                raise delivery.failure(error) from error
        except (smtplib.SMTPException, OSError) as error:
            raise delivery.failure(error) from error
        finally:
            self._waiting -= 1

    async def close(self) -> None:
        """Wait for what is being sent, and send no more."""
        await asyncio.to_thread(lambda: self._threads.shutdown(wait=True, cancel_futures=True))

    def _message(self, to: str, subject: str, text: str) -> EmailMessage:
        message = EmailMessage(policy=SMTP)
        try:
            message["To"] = Address(addr_spec=to)
            message["From"] = self._server.sender
            message["Subject"] = subject
            message["Date"] = formatdate()
            message["Message-ID"] = make_msgid(domain=self._server.sender.rpartition("@")[2].rstrip("> "))
            # Answering machines leave it alone (RFC 3834).
            message["Auto-Submitted"] = "auto-generated"
            message.set_content(text)
        except (ValueError, MessageError, UnicodeError, IndexError) as error:
            raise EmailError(f"not a message: {error}", permanent=True) from error
        return message


class _Delivery:
    """One message on its way; ``run`` in a thread, which ``abort`` gets free."""

    def __init__(self, server: MailServer, tls: ssl.SSLContext | None, message: EmailMessage) -> None:
        self.accepted = False
        """The mail server has said that it has the message."""
        self._server = server
        self._tls = tls
        self._message = message
        self._session: _Session | None = None
        self._aborted = False

    def run(self) -> None:
        """Hand the message over; raises SMTPException, OSError."""
        server = self._server
        kind = _TlsSession if server.security == "tls" else _PlainSession
        # Reading the system's certificate authorities takes some 50 ms, so it is done here.
        tls = None if server.security == "none" else self._tls or ssl.create_default_context()
        more = {"context": tls} if server.security == "tls" else {}
        connection = kind(self._begun, server.host, server.port, timeout=server.timeout_s, **more)
        try:
            if server.security == "starttls":
                connection.starttls(context=tls)
            if server.username:
                connection.login(server.username, server.password)
            connection.send_message(self._message)
            self.accepted = True
        finally:
            _take_leave(connection)

    def abort(self) -> None:
        """End the connection, from another thread."""
        self._aborted = True
        if self._session is not None:
            self._session.abort()

    def failure(self, error: Exception) -> EmailError:
        """What went wrong, for the sender."""
        if isinstance(error, smtplib.SMTPRecipientsRefused):
            codes = [code for code, _ in error.recipients.values()]
            return EmailError("the address is refused", permanent=min(codes) >= 500)
        if isinstance(error, smtplib.SMTPResponseException):
            # Before the message itself it is about us: our login, our name, our sender's address.
            permanent = isinstance(error, smtplib.SMTPDataError) and error.smtp_code >= 500
            return EmailError(f"status {error.smtp_code}", permanent=permanent)
        unknown = self._session is not None and self._session.is_deciding
        return EmailError(f"{type(error).__name__}: {error}", unknown=unknown)

    def _begun(self, session: _Session) -> None:
        self._session = session
        if self._aborted:
            raise TimeoutError("given up already")


class _Session(smtplib.SMTP):
    """An SMTP session that is known before it is connected."""

    is_deciding = False
    """Whether the mail server was given the message, and has not said what becomes of it."""

    def __init__(self, begun: Callable[[_Session], None], host: str, port: int, **options: Any) -> None:
        begun(self)
        super().__init__(host, port, **options)

    def getreply(self) -> tuple[int, bytes]:
        """A reply; after 354 comes the message (RFC 5321 §3.3)."""
        code, text = super().getreply()
        self.is_deciding = code == 354
        return code, text

    def abort(self) -> None:
        """End the connection, whoever waits for it."""
        connected: socket.socket | None = getattr(self, "sock", None)
        if connected is not None:
            with contextlib.suppress(OSError):
                connected.shutdown(socket.SHUT_RDWR)


class _PlainSession(_Session):
    pass


class _TlsSession(_Session, smtplib.SMTP_SSL):
    pass


def _take_leave(connection: smtplib.SMTP) -> None:
    """Say QUIT, whatever becomes of that: what was to be sent has been answered."""
    with contextlib.suppress(smtplib.SMTPException, OSError, ValueError):
        if connection.sock is not None:
            connection.sock.settimeout(LEAVE_SECONDS)
            connection.quit()
    connection.close()
