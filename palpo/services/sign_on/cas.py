"""The Central Authentication Service, protocol 2 and 3."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from palpo.config.sections.sign_on import CasConfig
from palpo.core.errors import Forbidden, Unavailable
from palpo.net.http_client import HttpClient, HttpError
from palpo.services.sign_on.flows import Flow
from palpo.services.sign_on.identities import Identity
from palpo.services.sign_on.providers import Provider

CALLBACK = "/_synapse/client/cas/callback"
MAX_ANSWER = 256 * 1024
"""Bytes."""
SAMLP = "{urn:oasis:names:tc:SAML:2.0:protocol}"
CAS = "{http://www.yale.edu/tp/cas}"
_TICKET = re.compile(r"[A-Za-z0-9._-]{1,512}")


class CasProvider(Provider):
    """One of ``[[cas]]``."""

    def __init__(self, config: CasConfig, http: HttpClient, *, base_url: str) -> None:
        """``base_url`` is where browsers reach this server."""
        super().__init__(config)
        self._cas = config
        self._http = http
        self._url = config.server_url.rstrip("/")
        self._base_url = base_url.rstrip("/")

    async def ask(self, flow: Flow) -> tuple[Flow, str]:
        """See ``Provider``."""
        return flow, f"{self._url}/login?{urlencode({'service': self._service(flow)})}"

    async def finish(self, flow: Flow, answer: Mapping[str, str]) -> Identity:
        """See ``Provider``: a ticket is good for this flow's address only."""
        ticket = answer.get("ticket", "")
        if _TICKET.fullmatch(ticket) is None:
            raise Forbidden("You have not signed on there")
        query = urlencode({"service": self._service(flow), "ticket": ticket})
        path = "/p3/serviceValidate" if self._cas.protocol >= 3 else "/serviceValidate"
        user, attributes = read_answer(await self._get(f"{self._url}{path}?{query}"))
        claims = {**attributes, "username": user}
        session = session_of(ticket)
        return Identity(provider=self.id, external_id=user, claims=claims, upstream_session=session)

    def _service(self, flow: Flow) -> str:
        """Where the browser comes back to: the flow's own address, so that no other flow's ticket is good."""
        return f"{self._base_url}{CALLBACK}?{urlencode({'state': flow.id})}"

    async def _get(self, url: str) -> bytes:
        try:
            async with self._http.request("GET", url, timeout_s=self._cas.timeout_seconds) as response:
                if response.status != 200:
                    raise Unavailable("The provider does not answer as it should")
                return await response.read(MAX_ANSWER)
        except HttpError as error:
            raise Unavailable("The provider cannot be reached") from error


def read_answer(body: bytes) -> tuple[str, dict[str, Any]]:
    """The user, and the attributes, of a server's answer; raises Forbidden, and Unavailable.

    An attribute that is there several times is a list. Entities and document types are refused.
    """
    from lxml import etree

    root = _read(body)
    if root is None or root.tag != f"{CAS}serviceResponse":
        raise Unavailable("The provider's answer cannot be read")
    success = root.find(f"{CAS}authenticationSuccess")
    user = "" if success is None else (success.findtext(f"{CAS}user") or "").strip()
    if success is None or not user:
        raise Forbidden("The provider does not take its own ticket; start again")
    attributes: dict[str, Any] = {}
    for element in success.iterfind(f"{CAS}attributes/*"):
        name = etree.QName(element).localname
        value = (element.text or "").strip()
        if name in attributes:
            known = attributes[name]
            attributes[name] = [*known, value] if isinstance(known, list) else [known, value]
        else:
            attributes[name] = value
    return user, attributes


def session_of(ticket: str) -> str:
    """What the session is called that began with a ticket: the ticket itself is kept nowhere."""
    return hashlib.sha256(ticket.encode()).hexdigest()


def read_logout(body: bytes) -> str:
    """The ticket whose session a server says is over; empty where it says nothing of the kind."""
    root = _read(body)
    if root is None or root.tag != f"{SAMLP}LogoutRequest":
        return ""
    ticket = (root.findtext(f"{SAMLP}SessionIndex") or "").strip()
    return ticket if _TICKET.fullmatch(ticket) else ""


def _read(body: bytes) -> Any:
    """The document's root; None for what is none, or declares entities."""
    from lxml import etree

    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, remove_comments=True
    )
    try:
        root = etree.fromstring(body, parser)
    except (etree.XMLSyntaxError, ValueError):
        return None
    document: Any = root.getroottree().docinfo
    return None if document.doctype else root
