"""A real identity provider of SAML 2.0: that of pysaml2."""

from __future__ import annotations

import shutil
from base64 import b64decode, b64encode
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from saml2 import BINDING_HTTP_POST, BINDING_HTTP_REDIRECT
from saml2.authn_context import PASSWORD
from saml2.config import IdPConfig
from saml2.metadata import entity_descriptor
from saml2.saml import NAMEID_FORMAT_PERSISTENT, NAMEID_FORMAT_TRANSIENT, NameID
from saml2.server import Server

from tests.support import node
from tests.support.certificates import make_certificate

SSO = "http://idp.example/sso"
SLO = "http://idp.example/slo"
ENTITY = "http://idp.example/metadata"
CONTEXT = {"class_ref": PASSWORD, "authn_auth": "http://idp.example"}


class IdentityProvider:
    """Signs whatever the test wants signed."""

    def __init__(self, folder: Path, sp_metadata: bytes = b"", *, entity: str = ENTITY) -> None:
        xmlsec = shutil.which("xmlsec1")
        if xmlsec is None:
            node.cannot("xmlsec1 is missing: scripts/services install")
        certificate, key = _rsa(folder)
        settings: dict[str, Any] = {
            "entityid": entity,
            "xmlsec_binary": xmlsec,
            "key_file": str(key),
            "cert_file": str(certificate),
            "metadata": {"inline": [sp_metadata.decode()]} if sp_metadata else {},
            "service": {
                "idp": {
                    "endpoints": {
                        "single_sign_on_service": [(SSO, BINDING_HTTP_REDIRECT)],
                        "single_logout_service": [(SLO, BINDING_HTTP_REDIRECT)],
                    },
                    "policy": {
                        "default": {
                            "lifetime": {"minutes": 5},
                            "attribute_restrictions": None,
                            "name_form": "urn:oasis:names:tc:SAML:2.0:attrname-format:uri",
                        }
                    },
                    "want_authn_requests_signed": False,
                }
            },
        }
        config = IdPConfig().load(settings)
        self.metadata = folder / "idp.xml"
        self.metadata.write_text(str(entity_descriptor(config)))
        self.server = Server(config=config)

    def answer(
        self,
        url: str,
        name: str = "alice-1",
        *,
        attributes: dict[str, Any] | None = None,
        sign_response: bool = False,
        sign_assertion: bool = True,
        in_response_to: str | None = None,
        name_format: str = NAMEID_FORMAT_PERSISTENT,
        **changed: Any,
    ) -> tuple[str, str]:
        """The response, as XML, to the request in ``url``, and the RelayState."""
        query = parse_qs(urlsplit(url).query)
        request = self.server.parse_authn_request(query["SAMLRequest"][0], BINDING_HTTP_REDIRECT)
        given = self.server.response_args(request.message)
        arguments = {
            "in_response_to": in_response_to or given["in_response_to"],
            "destination": given["destination"],
            "sp_entity_id": given["sp_entity_id"],
            "name_id": NameID(format=name_format, text=name),
            "authn": CONTEXT,
            "sign_response": sign_response,
            "sign_assertion": sign_assertion,
            **changed,
        }
        identity = attributes or {"uid": ["alice"], "cn": ["Alice of Wonderland"]}
        response = self.server.create_authn_response(identity, **arguments)
        return str(response), query["RelayState"][0]

    def logout(self, name: str, *sessions: str, binding: str, sign: bool = True) -> dict[str, Any]:
        """A request to log somebody out, as a browser takes it there: in ``data`` or ``headers``."""
        service = next(iter(self.server.metadata.with_descriptor("spsso")))
        place = self.server.metadata.single_logout_service(service, binding, typ="spsso")[0]["location"]
        _, request = self.server.create_logout_request(
            place,
            service,
            name_id=NameID(format=NAMEID_FORMAT_PERSISTENT, text=name),
            session_indexes=list(sessions) or None,
            sign=sign and binding == BINDING_HTTP_POST,
        )
        made: dict[str, Any] = self.server.apply_binding(
            binding, str(request), place, "where we were", sign=sign and binding != BINDING_HTTP_POST
        )
        return made

    def signed(self, xml: str) -> str:
        """A response whose assertion is signed as it is now."""
        from saml2 import class_name, samlp
        from saml2.sigver import pre_signature_part

        response = samlp.response_from_string(xml)
        (assertion,) = response.assertion
        assertion.signature = pre_signature_part(assertion.id, self.server.sec.my_cert, 1)
        statement = self.server.sec.sign_statement(str(response), class_name(assertion), node_id=assertion.id)
        return str(statement)


def encoded(xml: str) -> str:
    """As a browser carries it."""
    return b64encode(xml.encode()).decode()


def decoded(response: str) -> str:
    """The other way round."""
    return b64decode(response).decode()


def _rsa(folder: Path) -> tuple[Path, Path]:
    """A certificate with an RSA key, which xmlsec1 signs with."""
    from cryptography.hazmat.primitives.asymmetric import rsa

    made = folder / "certificate.pem", folder / "key.pem"
    if made[0].is_file():
        return made
    return make_certificate(folder, "idp.example", key=rsa.generate_private_key(65537, 2048))


TRANSIENT, POST, BY_REDIRECT = NAMEID_FORMAT_TRANSIENT, BINDING_HTTP_POST, BINDING_HTTP_REDIRECT
