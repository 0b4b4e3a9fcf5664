"""Requests of SAML providers to log somebody out (SAML 2.0 bindings, sections 3.4 and 3.5; profiles, 4.4)."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote_plus

import msgspec

MAX_SESSIONS = 100


class SamlLogout(msgspec.Struct, frozen=True, kw_only=True):
    """Who is logged out, and what the provider is to be answered."""

    name_id: str
    sessions: tuple[str, ...]
    """Their sessions there; empty: all of them."""
    location: str
    """Where the browser takes the answer; empty where the provider has no place for it."""


def read_logout(client: Any, query: str, form: Mapping[str, str], *, sign: bool) -> SamlLogout:
    """What a signed request says, from the query of a URL or from a form.

    ``client`` is pysaml2's; ``sign`` says that the answer is signed. Raises anything where it is not good.
    """
    from saml2 import BINDING_HTTP_POST, BINDING_HTTP_REDIRECT

    # One reading for what is signed and for what is believed: names as they are, and each of them once.
    sent = [part.partition("=") for part in query.split("&")]
    raw = {name: value for name, _, value in sent}
    if len(raw) != len(sent):
        raise ValueError("a parameter is there twice")
    fields = form or {name: unquote_plus(value) for name, value in raw.items()}
    binding = BINDING_HTTP_POST if form else BINDING_HTTP_REDIRECT
    read = client.parse_logout_request(fields["SAMLRequest"], binding)
    if read is None:
        raise ValueError("it is no request")
    message = read.message
    if form:
        client.sec.correctly_signed_logout_request(b64decode(fields["SAMLRequest"]).decode(), must=True)
    else:
        _check_signature(client, (message.issuer.text or "").strip(), raw, fields)
    name_id = message.name_id
    if name_id is None or not (name_id.text or "").strip():
        raise ValueError("it does not say who is logged out")
    sessions = [(item.text or "").strip() for item in message.session_index or ()]
    return SamlLogout(
        name_id=name_id.text.strip(),
        sessions=tuple(item for item in sessions if item)[:MAX_SESSIONS],
        location=_answer(client, message, fields.get("RelayState", ""), sign=sign),
    )


def _check_signature(client: Any, issuer: str, raw: Mapping[str, str], fields: Mapping[str, str]) -> None:
    """Hold the signature to what was sent, letter by letter: it may be encoded in several ways."""
    from saml2.sigver import SIGNER_ALGS, extract_rsa_key_from_x509_cert, pem_format

    signed = "&".join(
        f"{name}={raw[name]}" for name in ("SAMLRequest", "RelayState", "SigAlg") if name in raw
    )
    signer = SIGNER_ALGS[fields["SigAlg"]]
    signature = b64decode(fields["Signature"])
    for _name, certificate in client.metadata.certs(issuer, "any", "signing"):
        key = extract_rsa_key_from_x509_cert(pem_format(certificate))
        if signer.verify(signed.encode(), signature, key):
            return
    raise ValueError("nobody has signed it who may")


def _answer(client: Any, message: Any, relay_state: str, *, sign: bool) -> str:
    from saml2 import BINDING_HTTP_REDIRECT
    from saml2.s_utils import UnsupportedBinding

    try:
        place = client.response_args(message, [BINDING_HTTP_REDIRECT])
    except UnsupportedBinding:
        return ""
    made = client.create_logout_response(message, [BINDING_HTTP_REDIRECT], sign=False)
    sent = client.apply_binding(
        BINDING_HTTP_REDIRECT, str(made), place["destination"], relay_state, response=True, sign=sign
    )
    return str(dict(sent["headers"])["Location"])
