"""What clients say of themselves (spec: client-server API, "Client registration"; RFC 7591)."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any
from urllib.parse import SplitResult, urlsplit

from palpo.core.bounded_text import check_text
from palpo.core.errors import InvalidParam
from palpo.core.oauth.errors import INVALID_CLIENT_METADATA, INVALID_REDIRECT_URI, OAuthError

AUTHORIZATION_CODE = "authorization_code"
REFRESH_TOKEN = "refresh_token"
DEVICE_CODE = "urn:ietf:params:oauth:grant-type:device_code"
GRANT_TYPES = (AUTHORIZATION_CODE, REFRESH_TOKEN, DEVICE_CODE)
WEB, NATIVE = "web", "native"
LOOPBACK = ("localhost", "127.0.0.1", "::1")
MAX_NAME = 255
"""Bytes."""
MAX_URI = 2048
"""Characters."""
MAX_REDIRECT_URIS = 20
NAME = "client_name"
MAX_LANGUAGES = 50
UNSEEN = ("Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp")
"""Categories of what is no letter, such as marks that change the direction of writing."""
JOINERS = "\u200c\u200d"
"""What is of these and belongs to words, and to emoji."""

_URI = re.compile(r"[!#-;=?-\[\]_a-z~]+")
"""What a URI consists of (RFC 3986): no spaces, quotes, backslashes, angle brackets."""
_TAG = re.compile(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8}){0,3}")
"""A language (RFC 5646)."""
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientMetadata:
    """What is kept of it; all URIs are as the client gave them."""

    client_name: str
    client_uri: str
    logo_uri: str | None
    tos_uri: str | None
    policy_uri: str | None
    redirect_uris: tuple[str, ...]
    application_type: str
    grant_types: tuple[str, ...]
    names: Mapping[str, str] = field(default_factory=dict)
    """Its name in other languages, by their tags in lower case (RFC 7591, 2.2)."""

    def name(self, language: str) -> str:
        """Its name in a language, if it has one in that."""
        return self.names.get(language, self.client_name)

    def fields(self) -> dict[str, Any]:
        """As in the answer to a registration."""
        said = {name: getattr(self, name) for name in self.__slots__}
        known = {name: value for name, value in said.items() if value is not None and name != "names"}
        known |= {f"{NAME}#{tag}": name for tag, name in self.names.items()}
        response_types = ["code"] if AUTHORIZATION_CODE in self.grant_types else []
        return {**known, "token_endpoint_auth_method": "none", "response_types": response_types}

    def allows_redirect(self, uri: str) -> bool:
        """Whether codes may be sent to ``uri``: it was registered; of loopback addresses, with any port."""
        if uri in self.redirect_uris:
            return True
        portless = _without_port(uri)
        return self.application_type == NATIVE and portless is not None and portless in self.redirect_uris


def read_metadata(said: Mapping[str, Any]) -> ClientMetadata:
    """What of a registration counts; what is not understood is left out.

    Raises OAuthError, ``invalid_client_metadata`` or ``invalid_redirect_uri``.
    """
    application_type = said.get("application_type", WEB)
    if application_type not in (WEB, NATIVE):
        raise _refused("application_type is neither web nor native")
    client_uri = _text(said, "client_uri")
    if client_uri is None:
        raise _refused("client_uri is missing")
    home = _https(client_uri, "client_uri")
    host = home.hostname or ""
    if "." not in host and not _is_address(host):
        raise _refused("The host of client_uri is no domain")
    grant_types = _chosen(said, "grant_types", GRANT_TYPES, default=(AUTHORIZATION_CODE,))
    if not grant_types:
        raise _refused("None of the grant_types is served here")
    redirects = _chosen_uris(said) if AUTHORIZATION_CODE in grant_types else ()
    if AUTHORIZATION_CODE in grant_types:
        if "code" not in _chosen(said, "response_types", ("code",), default=("code",)):
            raise _refused("response_types has no code")
        if not redirects:
            raise OAuthError(INVALID_REDIRECT_URI, "redirect_uris is missing")
    for uri in redirects:
        _check_redirect(uri, host, application_type)
    return ClientMetadata(
        client_name=_readable(_text(said, "client_name", MAX_NAME) or "") or host,
        client_uri=client_uri,
        logo_uri=_own(said, "logo_uri", host),
        tos_uri=_own(said, "tos_uri", host),
        policy_uri=_own(said, "policy_uri", host),
        redirect_uris=redirects,
        application_type=application_type,
        grant_types=grant_types,
        names=_names(said),
    )


def _check_redirect(uri: str, host: str, application_type: str) -> None:
    """Hold a URI to "Redirect URI validation"."""
    parts = _split(uri, INVALID_REDIRECT_URI)
    if "#" in uri:
        raise _bad_redirect("A redirect URI has no fragment")
    if parts.scheme == "https":
        if parts.username is not None or parts.password is not None:
            raise _bad_redirect("A redirect URI has no user and no password")
        if not _is_below(parts.hostname or "", host):
            raise _bad_redirect("A redirect URI is at the host of client_uri or below it")
        return
    if application_type == WEB:
        raise _bad_redirect("The redirect URIs of a web client use https")
    if parts.scheme == "http":
        if parts.hostname not in LOOPBACK or parts.netloc not in (*LOOPBACK, "[::1]"):
            raise _bad_redirect("A redirect URI with http is on the loopback interface, and names no port")
        return
    reverse = ".".join(reversed(host.split(".")))
    if _SCHEME.fullmatch(parts.scheme) is None or not f"{parts.scheme}.".startswith(f"{reverse}."):
        raise _bad_redirect("The scheme of a redirect URI begins with the host of client_uri in reverse")
    if uri.partition(":")[2].startswith("//"):
        raise _bad_redirect("A redirect URI with a scheme of its own names no host")


def _names(said: Mapping[str, Any]) -> dict[str, str]:
    """The names in other languages, of which only some are kept, in their order."""
    tags = sorted(key for key in said if key.startswith(f"{NAME}#") and _TAG.fullmatch(key[len(NAME) + 1 :]))
    found = {key[len(NAME) + 1 :].lower(): _text(said, key, MAX_NAME) for key in tags[:MAX_LANGUAGES]}
    return {tag: name for tag, name in found.items() if name is not None}


def _own(said: Mapping[str, Any], name: str, host: str) -> str | None:
    """A URI of the client's, at the host of its ``client_uri`` or below it."""
    uri = _text(said, name)
    if uri is None:
        return None
    if not _is_below(_https(uri, name).hostname or "", host):
        raise _refused(f"{name} is not at the host of client_uri or below it")
    return uri


def _https(uri: str, name: str) -> SplitResult:
    parts = _split(uri, INVALID_CLIENT_METADATA)
    if parts.scheme != "https" or not parts.hostname:
        raise _refused(f"{name} is no https URI")
    if parts.username is not None or parts.password is not None:
        raise _refused(f"{name} has a user or a password in it")
    return parts


def _split(uri: str, code: str) -> SplitResult:
    if len(uri) > MAX_URI or _URI.fullmatch(uri.lower()) is None:
        raise OAuthError(code, "A URI is too long, or none")
    try:
        parts = urlsplit(uri)
        _ = parts.port
    except ValueError:
        raise OAuthError(code, "A URI cannot be read") from None
    if not parts.scheme:
        raise OAuthError(code, "A URI has no scheme")
    return parts


def _is_below(host: str, base: str) -> bool:
    return host == base or (host.endswith(f".{base}") and not _is_address(base))


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _without_port(uri: str) -> str | None:
    """A loopback URI without its port; None for any other."""
    try:
        parts = urlsplit(uri)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme != "http" or parts.hostname not in LOOPBACK or port is None:
        return None
    plain = parts.netloc.removesuffix(f":{port}")
    return uri.replace(parts.netloc, plain, 1) if plain in (*LOOPBACK, "[::1]") else None


def _text(said: Mapping[str, Any], name: str, most: int = MAX_URI) -> str | None:
    value = said.get(name)
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise _refused(f"{name} is no text")
    try:
        check_text(value, name, max_bytes=most)
    except InvalidParam as error:
        raise _refused(error.message) from None
    return value


def _readable(name: str) -> str:
    """A name without what turns around, breaks or hides the text that it is shown in."""
    kept = (letter for letter in name if letter in JOINERS or unicodedata.category(letter) not in UNSEEN)
    return " ".join("".join(kept).split())


def _chosen(
    said: Mapping[str, Any], name: str, known: tuple[str, ...], *, default: tuple[str, ...]
) -> tuple[str, ...]:
    """Those of a list that are known, in the order in which they are known."""
    values = said.get(name)
    if values is None:
        return default
    if not isinstance(values, list):
        raise _refused(f"{name} is no list")
    return tuple(value for value in known if value in values)


def _chosen_uris(said: Mapping[str, Any]) -> tuple[str, ...]:
    values = said.get("redirect_uris") or []
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise _bad_redirect("redirect_uris is no list of URIs")
    if len(values) > MAX_REDIRECT_URIS:
        raise _bad_redirect(f"A client has at most {MAX_REDIRECT_URIS} redirect URIs")
    return tuple(sorted(set(values)))


def _refused(description: str) -> OAuthError:
    return OAuthError(INVALID_CLIENT_METADATA, description)


def _bad_redirect(description: str) -> OAuthError:
    return OAuthError(INVALID_REDIRECT_URI, description)
