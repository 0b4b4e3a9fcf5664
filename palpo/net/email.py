"""Sending email, over SMTP (RFC 5321) to a server that the operator named.

The standard library's client is synchronous; it runs in threads of its own, a few at a time.
"""

from __future__ import annotations

import asyncio
import smtplib
import ssl
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate, make_msgid

MAX_WAITING = 200
"""Messages that wait to be sent."""


class EmailError(Exception):
    """A message was not accepted; ``permanent`` where it never will be."""

    def __init__(self, reason: str, *, permanent: bool = False) -> None:
        super().__init__(reason)
        self.permanent = permanent


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
        """Send plain text to one address; raises EmailError."""
        message = self._message(to, subject, text)
        if self._waiting >= MAX_WAITING:
            raise EmailError("too many messages wait to be sent")
        self._waiting += 1
        try:
            await asyncio.get_running_loop().run_in_executor(self._threads, self._deliver, message)
        except smtplib.SMTPResponseException as error:
            raise EmailError(f"status {error.smtp_code}", permanent=error.smtp_code >= 500) from error
        except smtplib.SMTPRecipientsRefused as error:
            codes = [code for code, _ in error.recipients.values()]
            raise EmailError("the address is refused", permanent=min(codes) >= 500) from error
        except (smtplib.SMTPException, OSError) as error:
            raise EmailError(f"{type(error).__name__}: {error}") from error
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

    def _deliver(self, message: EmailMessage) -> None:
        server = self._server
        context = self._tls or ssl.create_default_context()
        connection: smtplib.SMTP
        if server.security == "tls":
            connection = smtplib.SMTP_SSL(server.host, server.port, timeout=server.timeout_s, context=context)
        else:
            connection = smtplib.SMTP(server.host, server.port, timeout=server.timeout_s)
        with connection:
            if server.security == "starttls":
                connection.starttls(context=context)
            if server.username:
                connection.login(server.username, server.password)
            connection.send_message(message)
