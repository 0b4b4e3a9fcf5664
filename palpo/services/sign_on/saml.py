"""SAML 2.0, as the service provider: pysaml2, and xmlsec1 for signatures, in threads.

Signatures are what everything rests on: of the response, or of the assertion in it, one at least is needed.
What nobody has asked for is refused, and so is what is for another service, another flow, or another time.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Mapping
from typing import Any, TypeVar
from urllib.parse import urlencode

import msgspec
import structlog

from palpo.config.sections.sign_on import SamlConfig
from palpo.core.errors import Forbidden, Unavailable
from palpo.net.http_client import HttpClient, HttpError
from palpo.services.sign_on.flows import Flow
from palpo.services.sign_on.identities import Identity
from palpo.services.sign_on.providers import Provider
from palpo.services.sign_on.saml_logout import SamlLogout, read_logout
from palpo.streams.clock import Clock
from palpo.streams.fair_queue import FairThreads

log = structlog.get_logger("palpo.sign_on")

ACS = "/_synapse/client/saml2/authn_response"
METADATA = "/_synapse/client/saml2/metadata.xml"
LOGOUT = "/_synapse/client/saml2/logout"
MAX_METADATA = 4 * 1024 * 1024
"""Bytes."""
KEPT_S = 3600.0
MAX_SESSION = 255
TIMEOUT_S = 20.0
CLOCK_DIFFERENCE_S = 120
BEARER = "urn:oasis:names:tc:SAML:2.0:cm:bearer"
TRANSIENT = "urn:oasis:names:tc:SAML:2.0:nameid-format:transient"
T = TypeVar("T")


class SamlProvider(Provider):
    """One of ``[[saml]]``."""

    cross_site = True

    def __init__(self, config: SamlConfig, http: HttpClient, clock: Clock, *, base_url: str) -> None:
        """``base_url`` is where browsers reach this server."""
        super().__init__(config)
        self._saml = config
        self._http = http
        self._clock = clock
        self._base_url = base_url.rstrip("/")
        self._lock = asyncio.Lock()
        self._client: tuple[float, Any] | None = None
        self._threads: FairThreads | None = None

    async def ask(self, flow: Flow) -> tuple[Flow, str]:
        """See ``Provider``."""
        client = await self._known_client()

        def prepare() -> tuple[str, str]:
            request_id, binding = client.prepare_for_authenticate(
                relay_state=flow.id, nameid_format=self._saml.name_id_format
            )
            return request_id, dict(binding["headers"])["Location"]

        try:
            request_id, url = await self._run(prepare)
        except Exception as error:
            raise self._unusable("The provider cannot be asked", error) from error
        return msgspec.structs.replace(flow, request_id=request_id), url

    async def finish(self, flow: Flow, answer: Mapping[str, str]) -> Identity:
        """See ``Provider``."""
        client = await self._known_client()
        try:
            said = await self._run(
                lambda: _parsed(client, answer.get("SAMLResponse", ""), flow.request_id, self._base_url + ACS)
            )
        except Exception as error:
            log.info("saml_refused", provider=self.id, error=repr(error)[:500])
            raise Forbidden("The provider's answer is not good") from error
        return self._identity(said)

    async def metadata(self) -> bytes:
        """What the provider has to know of this server, as XML."""
        client = await self._known_client()

        def made() -> bytes:
            from saml2.metadata import entity_descriptor

            return str(entity_descriptor(client.config)).encode()

        return await self._run(made)

    def _identity(self, said: _Said) -> Identity:
        external_id = said.name_id
        if self._saml.subject_attribute:
            found = said.attributes.get(self._saml.subject_attribute)
            external_id = found if isinstance(found, str) else ""
        elif said.name_id_format == TRANSIENT:
            raise Forbidden("The provider does not say who you are, but calls you something else each time")
        claims = {**said.attributes, "name_id": said.name_id}
        return Identity(
            provider=self.id,
            external_id=external_id,
            claims=claims,
            subject=said.name_id,
            upstream_session=said.session,
        )

    async def logged_out(self, query: str, form: Mapping[str, str]) -> SamlLogout:
        """Whom the provider logs out by a query, or by a form; raises Forbidden unless it has signed that."""
        client = await self._known_client()
        try:
            return await self._run(lambda: read_logout(client, query, form, sign=self._saml.key is not None))
        except Exception as error:
            log.info("saml_logout_refused", provider=self.id, error=repr(error)[:500])
            raise Forbidden("The provider has not signed that") from error

    async def _known_client(self) -> Any:
        """pysaml2's client, made anew each hour where the metadata is elsewhere; raises Unavailable."""
        async with self._lock:
            now = self._clock.elapsed_s()
            known = self._client
            if known is None or (self._saml.metadata_url and known[0] + KEPT_S <= now):
                metadata = await self._fetch() if self._saml.metadata_url else ""
                try:
                    made = await self._run(lambda: _client(self._settings(metadata)))
                except Exception as error:
                    raise self._unusable("The provider's metadata cannot be used", error) from error
                known = self._client = (now, made)
            return known[1]

    def _unusable(self, what: str, error: Exception) -> Unavailable:
        log.warning("saml_failed", provider=self.id, error=repr(error)[:500])
        return Unavailable(what)

    async def _fetch(self) -> str:
        try:
            async with self._http.request("GET", self._saml.metadata_url, timeout_s=TIMEOUT_S) as response:
                if response.status != 200:
                    raise Unavailable("The provider's metadata cannot be had")
                return (await response.read(MAX_METADATA)).decode("utf-8", "replace")
        except HttpError as error:
            raise Unavailable("The provider's metadata cannot be had") from error

    async def _run(self, work: Callable[[], T]) -> T:
        if self._threads is None:
            self._threads = FairThreads("saml", workers=2, waiting=64, waiting_each=8)
        return await self._threads.run(work)

    def _settings(self, metadata: str) -> dict[str, Any]:
        """The configuration of pysaml2."""
        config = self._saml
        is_signing = config.key is not None
        return {
            "entityid": config.entity_id or f"{self._base_url}{METADATA}?{urlencode({'id': self.id})}",
            "xmlsec_binary": shutil.which(config.xmlsec or "xmlsec1"),
            "metadata": {"inline": [metadata]} if metadata else {"local": [str(config.metadata_file)]},
            "key_file": str(config.key) if is_signing else None,
            "cert_file": str(config.certificate) if is_signing else None,
            "accepted_time_diff": CLOCK_DIFFERENCE_S,
            "allow_unknown_attributes": True,
            "service": {
                "sp": {
                    "endpoints": {
                        "assertion_consumer_service": [
                            (f"{self._base_url}{ACS}", "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST")
                        ],
                        "single_logout_service": [
                            (
                                f"{self._base_url}{LOGOUT}",
                                f"urn:oasis:names:tc:SAML:2.0:bindings:HTTP-{binding}",
                            )
                            for binding in ("Redirect", "POST")
                        ],
                    },
                    "allow_unsolicited": False,
                    "authn_requests_signed": is_signing,
                    "want_response_signed": False,
                    "want_assertions_signed": False,
                    "want_assertions_or_response_signed": True,
                    "name_id_format": [config.name_id_format],
                }
            },
        }


class _Said(msgspec.Struct, frozen=True):
    """What an assertion says."""

    name_id: str
    name_id_format: str
    attributes: dict[str, Any]
    session: str
    """What the provider calls the session."""


def _client(settings: dict[str, Any]) -> Any:
    from saml2.client import Saml2Client
    from saml2.config import SPConfig

    return Saml2Client(config=SPConfig().load(settings))


def _parsed(client: Any, response: str, request_id: str, recipient: str) -> _Said:
    """What a good response to a request says; raises anything where it is not good.

    ``recipient`` is where the browser has brought it.
    """
    from saml2 import BINDING_HTTP_POST

    read = client.parse_authn_request_response(response, BINDING_HTTP_POST, outstanding={request_id: "/"})
    if read is None or not read.assertion or len(read.assertions) != 1:
        raise ValueError("there is not one assertion")
    if read.in_response_to != request_id:
        raise ValueError("it is the answer to another request")
    _check_bounds(read.assertion, client.config.entityid, request_id, recipient)
    name_id = read.get_subject()
    given = read.get_identity() or {}
    attributes = {name: values[0] if len(values) == 1 else list(values) for name, values in given.items()}
    statements = read.assertion.authn_statement
    session = (statements[0].session_index or "") if statements else ""
    return _Said((name_id.text or "").strip(), name_id.format or "", attributes, session[:MAX_SESSION])


def _check_bounds(assertion: Any, entity_id: str, request_id: str, recipient: str) -> None:
    """Raise ValueError for an assertion that does not say itself that it is for this sign-on.

    pysaml2 takes one that says nothing of it (SAML 2.0 profiles, section 4.1.4.2): whom it is for, where it
    may be shown, and until when.
    """
    restrictions = assertion.conditions.audience_restriction if assertion.conditions else []
    if not restrictions or not all(
        any((audience.text or "").strip() == entity_id for audience in restriction.audience)
        for restriction in restrictions
    ):
        raise ValueError("it is for another service, or does not say for which")
    confirmed = [
        item.subject_confirmation_data
        for item in assertion.subject.subject_confirmation
        if item.method == BEARER and item.subject_confirmation_data is not None
    ]
    if not any(
        item.recipient == recipient and item.in_response_to == request_id and item.not_on_or_after
        for item in confirmed
    ):
        raise ValueError("nobody may show it here")
